package syntax

// Threshold takes apart a query that compares something with a number, such as
// sum(rate({app="shop"} |= "error" [5m])) > 10: rules with a second threshold
// need the left part alone. ok is false for any other query, also if the
// comparison yields 0 and 1.
func Threshold(query string) (operand string, ok bool) {
	e, err := ParseSample(query)
	if err != nil {
		return "", false
	}
	b, isBinary := e.(*BinaryOperation)
	if !isBinary || b.Bool || !isComparison(b.Op) {
		return "", false
	}
	_, left := b.LHS.(*Literal)
	_, right := b.RHS.(*Literal)
	switch {
	case right && !left:
		return b.LHS.String(), true
	case left && !right:
		return b.RHS.String(), true
	}
	return "", false
}
