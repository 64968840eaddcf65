package cold

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/fileutil"
)

// Plan says what to build.
type Plan struct {
	ID      ulid.ULID
	Sources []Source

	// MinTime and MaxTime are the range of the sources' samples, MaxTime not
	// included. The block's own is as narrow as its samples.
	MinTime, MaxTime int64
	InOrderMaxTime   int64 // see Meta

	Compaction     tsdb.BlockMetaCompaction
	Replaces       []ulid.ULID // cold blocks
	ReplacesBlocks []ulid.ULID // Prometheus' blocks
}

// Build writes a block that holds what the sources hold, in dir, and opens it.
// The sources must stay open until it returns.
//
// When it returns without error, every sample of the block was read back from
// disk and is the sources', to the bit. The block does not count before Commit;
// a crash until then, or Remove, leaves the sources as they were. It may turn
// out empty: it still stands for what it replaces.
func Build(ctx context.Context, dir string, p Plan) (*Block, error) {
	tmp := filepath.Join(dir, p.ID.String()) + creating
	if err := os.RemoveAll(tmp); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(tmp, 0o750); err != nil {
		return nil, err
	}
	if err := write(ctx, filepath.Join(tmp, blockFile), p); err != nil {
		return nil, errors.Join(fmt.Errorf("write cold block: %w", err), os.RemoveAll(tmp))
	}
	b, err := Open(tmp)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(tmp))
	}
	if err := errors.Join(verify(ctx, b, p.Sources), syncDir(tmp)); err != nil {
		return nil, errors.Join(fmt.Errorf("verify cold block: %w", err), b.Close(), os.RemoveAll(tmp))
	}
	return b, nil
}

// Commit gives a block that was built its name. From then on it stands for what
// it replaces.
func (b *Block) Commit() error {
	final := strings.TrimSuffix(b.dir, creating)
	if err := fileutil.Replace(b.dir, final); err != nil { // syncs the folder that the name is in
		return fmt.Errorf("commit cold block: %w", err)
	}
	b.dir = final
	return nil
}

func write(ctx context.Context, path string, p Plan) error {
	in, err := merge(ctx, p.Sources)
	if err != nil {
		return err
	}
	meta := Meta{InOrderMaxTime: p.InOrderMaxTime, Replaces: p.Replaces, ReplacesBlocks: p.ReplacesBlocks}
	meta.ULID, meta.MinTime, meta.MaxTime, meta.Compaction, meta.Version = p.ID, p.MinTime, p.MaxTime, p.Compaction, version
	w, err := newWriter(path, meta)
	if err != nil {
		return errors.Join(err, in.close())
	}
	for in.next(ctx) {
		if err := w.add(in.at, &in.s); err != nil {
			return errors.Join(err, w.abort(), in.close())
		}
	}
	if in.failed != nil {
		return errors.Join(in.failed, w.abort(), in.close())
	}
	return errors.Join(w.finish(), in.close())
}

// verify compares a block with what it was built from.
func verify(ctx context.Context, b *Block, sources []Source) error {
	want, err := merge(ctx, sources)
	if err != nil {
		return err
	}
	got, err := merge(ctx, []Source{b})
	if err != nil {
		return errors.Join(err, want.close())
	}
	return errors.Join(compare(ctx, want, got), want.close(), got.close())
}

func compare(ctx context.Context, want, got *merged) error {
	for want.next(ctx) {
		if len(want.s.pieces) == 0 {
			continue
		}
		if !got.next(ctx) {
			return errors.Join(got.failed, fmt.Errorf("series %s is missing", want.at))
		}
		if !labels.Equal(want.at, got.at) {
			return fmt.Errorf("series %s is where %s should be", got.at, want.at)
		}
		if !want.s.equal(&got.s) {
			return fmt.Errorf("samples of series %s differ from their source", want.at)
		}
	}
	if want.failed != nil {
		return want.failed
	}
	if got.next(ctx) {
		return fmt.Errorf("series %s is in no source", got.at)
	}
	return got.failed
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// OpenAll opens the blocks in dir, after it has removed what a crash left: what
// was being written, what was being removed, and blocks that another replaces.
// A folder that does not exist has no blocks. Blocks that cannot be opened are
// in the error; the others are returned all the same.
func OpenAll(dir string) ([]*Block, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var blocks []*Block
	var errs []error
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch ext := filepath.Ext(e.Name()); {
		case ext == creating || ext == deleting:
			errs = append(errs, os.RemoveAll(path))
			continue
		case ext != "":
			continue
		}
		if _, err := ulid.ParseStrict(e.Name()); err != nil {
			continue
		}
		b, err := Open(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		blocks = append(blocks, b)
	}
	replaced := map[ulid.ULID]bool{}
	for _, b := range blocks {
		for _, id := range b.meta.Replaces {
			replaced[id] = true
		}
	}
	live := blocks[:0]
	for _, b := range blocks {
		if replaced[b.ID()] {
			errs = append(errs, b.Remove())
			continue
		}
		live = append(live, b)
	}
	return live, errors.Join(errs...)
}
