package automaton

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"unicode/utf8"
)

// State is a state of an Automaton: what matters of the text so far.
type State = uint8

// Matched is the state of texts that have a match, whatever follows.
const Matched State = 0

const (
	// MaxStates is how many states an automaton has at most: they are numbered from 0.
	MaxStates = 200

	maxInstructions = 500
)

// Automaton tells whether ASCII texts have a match.
type Automaton struct {
	start   State
	class   [256]uint8 // of each byte; bytes beyond ASCII are of some class
	classes int
	next    []State // of each state, for each class
	ends    []bool  // whether a text that ends in the state has a match
	digits  []bool  // no digit leads out of the state
	words   []bool  // neither does a letter
	final   []bool  // nothing does
}

// New returns the automaton of an expression in Perl syntax; nil if there is none.
func New(expr string) *Automaton {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil || len(prog.Inst) > maxInstructions {
		return nil
	}
	for i := range prog.Inst {
		in := &prog.Inst[i]
		if in.Op == syntax.InstEmptyWidth && syntax.EmptyOp(in.Arg)&^(syntax.EmptyBeginText|syntax.EmptyEndText) != 0 {
			return nil
		}
	}
	b := builder{prog: prog, states: map[string]State{}, seen: make([]bool, len(prog.Inst))}
	return b.build()
}

// builder makes an automaton by following all ways through a program at once.
type builder struct {
	prog   *syntax.Prog
	states map[string]State
	sets   [][]uint32 // instructions of each state: those that take a byte, or that wait for the end
	seen   []bool
	a      Automaton
}

func (b *builder) build() *Automaton {
	samples := b.classify()
	b.sets = append(b.sets, nil) // Matched
	b.a.next = make([]State, b.a.classes)
	first, matched := b.follow(nil, uint32(b.prog.Start), syntax.EmptyBeginText)
	if matched {
		return nil // everything matches
	}
	b.a.start = b.state(first)
	anywhere, _ := b.follow(nil, uint32(b.prog.Start), 0)
	for s := 1; s < len(b.sets); s++ {
		for _, c := range samples {
			to, matched := b.step(b.sets[s], rune(c), anywhere)
			if matched {
				b.a.next = append(b.a.next, Matched)
				continue
			}
			n := b.state(to)
			if len(b.sets) > MaxStates {
				return nil
			}
			b.a.next = append(b.a.next, n)
		}
	}
	b.describe()
	return &b.a
}

// classify puts bytes that no instruction tells apart into one class, and returns a byte of each.
func (b *builder) classify() (samples []byte) {
	classes := map[string]uint8{}
	for c := range utf8.RuneSelf {
		key := make([]byte, 0, len(b.prog.Inst))
		for i := range b.prog.Inst {
			if takes(&b.prog.Inst[i], rune(c)) {
				key = append(key, 1)
			} else {
				key = append(key, 0)
			}
		}
		// What the states say of digits and letters needs classes of their own.
		key = append(key, kindOf(byte(c)))
		class, ok := classes[string(key)]
		if !ok {
			class = uint8(len(classes))
			classes[string(key)] = class
			samples = append(samples, byte(c))
		}
		b.a.class[c] = class
	}
	b.a.classes = len(classes)
	return samples
}

const (
	other = iota
	letter
	digit
)

func kindOf(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return digit
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		return letter
	}
	return other
}

func takes(in *syntax.Inst, r rune) bool {
	switch in.Op {
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		return in.MatchRune(r)
	}
	return false
}

// state returns the state of a set of instructions.
func (b *builder) state(set []uint32) State {
	slices.Sort(set)
	set = slices.Compact(set)
	var key []byte
	for _, pc := range set {
		key = binary.LittleEndian.AppendUint32(key, pc)
	}
	if s, ok := b.states[string(key)]; ok {
		return s
	}
	s := State(len(b.sets))
	b.sets = append(b.sets, set)
	b.states[string(key)] = s
	return s
}

// step returns where a byte leads from a set, with what may begin behind it.
func (b *builder) step(set []uint32, c rune, anywhere []uint32) (to []uint32, matched bool) {
	to = append(to, anywhere...)
	for _, pc := range set {
		in := &b.prog.Inst[pc]
		if !takes(in, c) {
			continue
		}
		if to, matched = b.follow(to, in.Out, 0); matched {
			return nil, true
		}
	}
	return to, false
}

// follow adds the instructions that are reached from pc without taking a byte, and reports
// whether the end of the expression is. at says where in the text that is.
func (b *builder) follow(set []uint32, pc uint32, at syntax.EmptyOp) ([]uint32, bool) {
	clear(b.seen)
	matched := false
	stack := []uint32{pc}
	for len(stack) > 0 {
		pc, stack = stack[len(stack)-1], stack[:len(stack)-1]
		if b.seen[pc] {
			continue
		}
		b.seen[pc] = true
		switch in := &b.prog.Inst[pc]; in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			stack = append(stack, in.Arg, in.Out)
		case syntax.InstCapture, syntax.InstNop:
			stack = append(stack, in.Out)
		case syntax.InstEmptyWidth:
			switch need := syntax.EmptyOp(in.Arg) &^ at; need {
			case 0:
				stack = append(stack, in.Out)
			case syntax.EmptyEndText:
				set = append(set, pc) // until the text ends
			}
		case syntax.InstMatch:
			matched = true
		case syntax.InstFail:
		default:
			set = append(set, pc)
		}
	}
	return set, matched
}

// describe fills in what is to be known of the states.
func (b *builder) describe() {
	a := &b.a
	n := len(b.sets)
	a.ends, a.digits, a.words, a.final = make([]bool, n), make([]bool, n), make([]bool, n), make([]bool, n)
	for s := range n {
		a.digits[s], a.words[s], a.final[s] = true, true, true
		for c := range utf8.RuneSelf {
			if a.next[s*a.classes+int(a.class[c])] == State(s) {
				continue
			}
			a.final[s] = false
			kind := kindOf(byte(c))
			a.digits[s] = a.digits[s] && kind != digit
			a.words[s] = a.words[s] && kind == other
		}
		for _, pc := range b.sets[s] {
			if b.prog.Inst[pc].Op == syntax.InstEmptyWidth {
				_, matched := b.follow(nil, b.prog.Inst[pc].Out, syntax.EmptyEndText)
				a.ends[s] = a.ends[s] || matched
			}
		}
	}
	a.ends[Matched] = true
}

// Start returns the state of the empty text.
func (a *Automaton) Start() State { return a.start }

// Step returns the state behind more ASCII text.
func (a *Automaton) Step(s State, text []byte) State {
	for _, c := range text {
		s = a.next[int(s)*a.classes+int(a.class[c])]
	}
	return s
}

// KeepsDigits reports whether digits that follow make no difference.
func (a *Automaton) KeepsDigits(s State) bool { return a.digits[s] }

// KeepsWords reports whether letters and digits that follow make no difference.
func (a *Automaton) KeepsWords(s State) bool { return a.words[s] }

// Final reports whether nothing that follows makes a difference.
func (a *Automaton) Final(s State) bool { return a.final[s] }

// Ends reports whether a text, not the empty one, that led to the state has a match.
func (a *Automaton) Ends(s State) bool { return a.ends[s] }
