package store

// LogDir returns the folder of a tenant, in which its write-ahead log is as "wal".
func (s *Store) LogDir(tenant string) string { return s.tenantDir(tenant) }

// OnAppend has f called after each commit, with how many samples of which tenant
// it appended and the time of the newest, milliseconds. f must not wait. There is
// one f; another takes its place.
func (s *Store) OnAppend(f func(tenant string, samples int, newest int64)) {
	s.onAppend.Store(&f)
}

// told tells whoever wants to know of a commit.
func (s *Store) told(tenant string, samples int, newest int64) {
	if f := s.onAppend.Load(); f != nil && samples > 0 {
		(*f)(tenant, samples, newest)
	}
}
