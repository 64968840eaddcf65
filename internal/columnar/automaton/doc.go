// Package automaton makes deterministic automata of regular expressions: whether
// a text has a match is told by one look-up for each of its bytes, and a text that
// begins as another one did goes on from the state which that one led to.
//
// An Automaton is made for ASCII texts and does not change once it is made. Expressions
// that would need too many states, or that look at word or line boundaries, have none.
package automaton
