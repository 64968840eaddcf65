package inbound

// ReadMail reads a mail all the way, for fuzzing.
func ReadMail(raw []byte) {
	m, err := parseMail(raw)
	if err != nil {
		return
	}
	m.about()
	m.severity()
	command(m)
}
