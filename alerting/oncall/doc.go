// Package oncall says who is on call at a given time. It is pure computation: no
// clock, no storage; time, configuration and overrides are arguments.
//
// A schedule is a list of layers in one IANA time zone. Each layer is a rotation
// of people, perhaps restricted to certain days and hours. The last layer in the
// list that has somebody wins; overrides win over all layers, the newest first.
//
// # Clock changes
//
// Everything a schedule says about times of day is said about the wall clock of
// its zone, made monotonic: wall(t) is the latest time that the local clock has
// shown up to t. So when clocks go back, the hour that comes twice does not undo
// a hand-over that its first pass has made (the shift is an hour longer); when
// they go forward, a hand-over in the hour that does not exist happens at the
// moment of the change. The n-th shift of a rotation starts n shift lengths after
// the first on that clock, so a daily hand-over stays at 09:00 all year.
package oncall
