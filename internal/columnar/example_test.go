package columnar_test

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"belfry/internal/columnar"
	"belfry/internal/vfs"
)

// Lines of "service level message" as a signal of its own.
func Example() {
	const message = columnar.ColRef(0)
	db, err := columnar.Open(columnar.Options{
		Dir: "data", FS: vfs.NewMem(), Signal: "lines",
		Columns: []columnar.ColumnDef{{Name: "message", Kind: columnar.KindString}},
		Decode: func(payload []byte, receivedAt time.Time, w *columnar.RowWriter) error {
			for i, line := range bytes.Split(payload, []byte("\n")) {
				fields := bytes.SplitN(line, []byte(" "), 3)
				if len(fields) < 3 {
					w.Reject("line of less than three words")
					continue
				}
				if !w.SelectStream(fields[0]) {
					w.StreamField("service.name", columnar.String(string(fields[0])))
					w.DefineStream()
				}
				w.Begin(receivedAt.UnixNano() + int64(i))
				w.SetString(message, fields[2])
				w.SetString(w.Ref([]byte("level"), columnar.KindString), fields[1])
				w.End()
			}
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	ctx := context.Background()
	res, err := db.Append(ctx, "default", []byte("cart info all is well\ncart error card refused\npay error card refused\nnonsense"))
	fmt.Println(res.Rows, res.Rejected, res.Reason, err)

	now := time.Now().UnixNano()
	rows, _, err := db.Select(ctx, columnar.SelectQuery{
		Query: columnar.Query{
			Tenant: "default", From: now - int64(time.Hour), To: now + int64(time.Hour),
			Filter: columnar.And{
				columnar.Equal{Ref: columnar.StreamRef("service.name"), Value: columnar.String("cart")},
				columnar.Words{Ref: columnar.RowRef("message"), Words: []string{"card"}},
			},
		},
		Order: columnar.NewestFirst, Limit: 10,
	})
	for _, r := range rows {
		for _, f := range r.Fields {
			fmt.Println(f.Name, f.Value.Text())
		}
	}
	fmt.Println(len(rows), err)
	// Output:
	// 3 1 line of less than three words <nil>
	// level error
	// message card refused
	// 1 <nil>
}
