package column

import "belfry/internal/columnar/automaton"

// TemplateRun asks an automaton of values without putting them together: literal
// text leads from each state to one other, which is found once, and slots that
// make no difference where they stand are not read.
type TemplateRun struct {
	t    *Templates
	a    *automaton.Automaton
	runs []templateRun
	room int    // bytes that may still be taken for templateRun.after
	text []byte // scratch
}

// templateRun is what is known of one template.
type templateRun struct {
	verdict Match // of all its values; Maybe: each has to be looked at
	apart   bool  // the automaton cannot tell: not all is ASCII

	first   int               // of its pieces, whose slot makes a difference
	number  int               // number slots before that
	textual int               // text slots before
	state   automaton.State   // before the slot
	after   []automaton.State // nil: there is no room
	asked   bool
}

// noState marks in templateRun.after, by piece and state, what was not asked yet.
const noState = 0xff

// runRoom bounds what is noted of all templates.
const runRoom = 4 << 20

// Run returns an automaton's run over the values.
func (t *Templates) Run(a *automaton.Automaton) *TemplateRun {
	r := &TemplateRun{t: t, a: a, runs: make([]templateRun, len(t.list)), room: runRoom}
	for i := range r.runs {
		r.begin(&r.runs[i], &t.list[i])
	}
	return r
}

// begin follows a template to the first slot that makes a difference.
func (r *TemplateRun) begin(run *templateRun, tpl *template) {
	if len(tpl.text) == 0 || string(tpl.text) == restTemplate || !isPlain(tpl.text) {
		run.verdict, run.apart = Maybe, true
		return
	}
	s := r.a.Start()
	for i := range tpl.pieces {
		p := &tpl.pieces[i]
		s = r.a.Step(s, p.text)
		if r.a.Final(s) {
			break
		}
		if !r.keeps(s, p.slot) {
			run.verdict, run.first, run.state = Maybe, i, s
			return
		}
		switch p.slot {
		case numberSlot:
			run.number++
		case textSlot:
			run.textual++
		}
	}
	run.verdict = r.verdict(s)
}

func (r *TemplateRun) verdict(s automaton.State) Match {
	if r.a.Ends(s) {
		return Always
	}
	return Never
}

// keeps reports whether a slot makes no difference.
func (r *TemplateRun) keeps(s automaton.State, slot byte) bool {
	switch slot {
	case numberSlot:
		return r.a.KeepsDigits(s)
	case textSlot:
		return r.a.KeepsWords(s)
	}
	return true
}

// Match tells of a value, by its position among the values; Maybe if the automaton cannot.
func (r *TemplateRun) Match(value int) (Match, error) {
	id, rank, text := r.t.at(value)
	run := &r.runs[id]
	if run.verdict != Maybe || run.apart {
		return run.verdict, nil
	}
	tpl := &r.t.list[id]
	slots, err := r.t.numbersOf(tpl)
	if err != nil {
		return Maybe, err
	}
	if !run.asked {
		r.note(run, tpl)
	}
	number, s := run.number, run.state
	text += run.textual
	for i := run.first; ; i++ {
		switch p := &tpl.pieces[i]; p.slot {
		case numberSlot:
			if !r.a.KeepsDigits(s) {
				r.text = slots[number].appendNumber(r.text[:0], rank)
				s = r.a.Step(s, r.text)
			}
			number++
		case textSlot:
			if !r.a.KeepsWords(s) {
				v, err := r.t.text(text)
				if err != nil {
					return Maybe, err
				}
				s = r.a.Step(s, v)
			}
			text++
		}
		if i+1 == len(tpl.pieces) || r.a.Final(s) {
			return r.verdict(s), nil
		}
		s = r.literal(run, i-run.first, s, tpl.pieces[i+1].text)
	}
}

// note makes room to note where literals of a template lead.
func (r *TemplateRun) note(run *templateRun, tpl *template) {
	run.asked = true
	n := automaton.MaxStates * (len(tpl.pieces) - run.first)
	if n > r.room {
		return
	}
	r.room -= n
	run.after = make([]automaton.State, n)
	for i := range run.after {
		run.after[i] = noState
	}
}

// literal returns where the literal behind a slot leads.
func (r *TemplateRun) literal(run *templateRun, slot int, s automaton.State, text []byte) automaton.State {
	if run.after == nil {
		return r.a.Step(s, text)
	}
	next := &run.after[slot*automaton.MaxStates+int(s)]
	if *next == noState {
		*next = r.a.Step(s, text)
	}
	return *next
}
