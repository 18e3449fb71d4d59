package sqlite

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// sqlCopies makes older copies of a row, a millisecond apart, for the parents
// projects/0 to projects/9 in turn.
const sqlCopies = `WITH RECURSIVE n (n) AS (SELECT ? UNION ALL SELECT n - 1 FROM n WHERE n > 1)
	INSERT INTO longrun_operation (create_time, id, parent, method, state, hidden, expire_time, cold, hot, response)
	SELECT create_time - 1000 * n, unhex(printf('00000000000070008000%012x', n)), 'projects/' || (n % 10), method, state, hidden, expire_time, cold, hot, response FROM n, longrun_operation`

// filled returns a store with n done operations, of which projects/0 to projects/9
// have a tenth each, and the newest of all in projects/p.
func filled(t testing.TB, n int) (*Store, *longrun.Operation) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.db")
	s := openTestUntended(t, file)
	ctx := context.Background()
	session := longrun.NewSessionID()
	if _, err := s.Beat(ctx, longrun.Session{ID: session, Open: true, TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	op := benchOp(session, anyOf(100))
	op.Parent, op.Labels = "projects/p", map[string]string{"env": "prod"}
	if _, err := s.Create(ctx, longrun.NewOperation{Operation: op}); err != nil {
		t.Fatal(err)
	}
	last, err := s.Update(ctx, longrun.Change{ID: op.ID, Apply: func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
		return op.EndRun(longrun.RunEnd{Claim: op.Claim, Kind: longrun.RunReturned, Response: anyOf(100)}, now)
	}})
	if err != nil {
		t.Fatal(err)
	}
	closeTest(t, s)
	c, err := sqlite.OpenConn(file, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	for _, pragma := range []string{"journal_mode = OFF", "synchronous = OFF", "cache_size = -200000"} { // to be quick
		if err := sqlitex.Execute(c, "PRAGMA "+pragma, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n > 0 {
		err = sqlitex.Execute(c, sqlCopies, &sqlitex.ExecOptions{Args: []any{n}})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return openTest(t, file, Options{}), last
}

// openTestUntended opens a store that the test closes itself.
func openTestUntended(t testing.TB, file string) *Store {
	t.Helper()
	s, err := Open(file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// filterOf compiles a filter.
func filterOf(t testing.TB, s *Store, text string) longrun.Query {
	t.Helper()
	svc, err := longrun.New(s, longrun.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer svc.Close()
	f, err := svc.Filter(text)
	if err != nil {
		t.Fatal(err)
	}
	return longrun.Query{Parent: "-", Limit: 100, Where: f}
}

// A filter that says which operations, or which times, or that they are not done,
// reads these and not the others. One that can only be looked at reads the records
// that its condition leaves, and looks at so many rows and no more.
func TestWhere_ReadsFew(t *testing.T) {
	t.Parallel()
	const rows = 20_000
	s, last := filled(t, rows)
	at := func(ago int) string {
		return last.CreateTime.Add(-time.Duration(ago) * time.Millisecond).Format(time.RFC3339Nano)
	}
	var pending *longrun.Operation
	for range 3 {
		var err error
		if pending, err = s.Create(t.Context(), longrun.NewOperation{Operation: benchOp(longrun.SessionID{}, nil)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		filter, parent string
		scan           int
		found          int
		read, passed   int // at most
	}{
		{`name="` + last.Name().String() + `"`, "-", 1000, 1, 1, 0},
		{`name="*` + last.ID.String() + `" AND done=true`, "projects/p", 1000, 1, 1, 0},
		{`name="` + last.Name().String() + `"`, "projects/1", 1000, 0, 1, 0},
		{`name="` + pending.Name().String() + `" OR name="` + last.Name().String() + `"`, "-", 1000, 2, 2, 0},
		{"done=false", "-", 1000, 3, 3, 0},
		{"done=false", "projects/1", 1000, 0, 3, 0},
		{"NOT (done=true OR error:*)", "-", 1000, 3, 3, 0},
		{"metadata.state=PENDING", "-", 1000, 3, 3, 0},
		{`metadata.create_time > "` + at(50) + `" metadata.create_time < "` + at(10) + `"`, "-", 1000, 39, 39, 0},
		{`metadata.create_time > "` + at(50) + `" metadata.create_time < "` + at(10) + `"`, "projects/3", 1000, 4, 4, 0},
		{`metadata.create_time < "` + at(rows-10) + `"`, "-", 1000, 10, 10, 0},
		{"error:*", "-", 1000, 0, 0, 16_000},
		{"error:*", "-", 100, 0, 0, 1600},
		{"error:*", "projects/3", 0, 0, 0, rows / 10},
		{"metadata.labels.env=test", "-", 0, 0, 0, rows + 10},
		{"metadata.@type=type.googleapis.com/x.M", "-", 0, 0, 0, rows + 10},
		{"metadata.method=none", "projects/3", 0, 0, 0, rows / 10},
		{"metadata.attempt > 5", "projects/3", 500, 0, 500, 0}, // nothing is known of it: all are read
	} {
		q := filterOf(t, s, tt.filter)
		q.Parent, q.Scan = tt.parent, tt.scan
		l := &lister{q: q}
		settleTest(t, s)
		err := s.readers.with(t.Context(), func(c *conn) error {
			_, err := c.filtered(l)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if l.read > tt.read || l.passed > tt.passed {
			t.Errorf("%s of %s: %d records read and %d rows looked at, want at most %d and %d", tt.filter, tt.parent, l.read, l.passed, tt.read, tt.passed)
		}
		if got := len(l.page.Operations); tt.filter != "metadata.attempt > 5" && tt.read > 0 && got != tt.found {
			t.Errorf("%s of %s: %d operations, want %d", tt.filter, tt.parent, got, tt.found)
		}
	}
}

// PAG-04: where the rows that one page may look at are not enough, it is empty,
// with a place to go on at, and all pages together come to the end.
func TestWhere_ShortPages(t *testing.T) {
	t.Parallel()
	const rows = 5000
	s, _ := filled(t, rows)
	q := filterOf(t, s, "error:*")
	q.Scan = 50
	pages := 0
	for more := true; more; pages++ {
		page, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Operations) > 0 || page.More && page.Next == q.After {
			t.Fatalf("page %d = %d operations, next %v", pages, len(page.Operations), page.Next)
		}
		q.After, more = page.Next, page.More
	}
	if want := rows/(50*examineFactor) + 1; pages != want {
		t.Errorf("%d pages, want %d", pages, want)
	}
}

// Many operations that are not done are found in the order of all.
func TestWhere_ManyUnfinished(t *testing.T) {
	t.Parallel()
	s, _ := filled(t, 10)
	if err := s.Tx(t.Context(), func(tx *Tx) error {
		for range maxUnfinished + 1 {
			if _, err := tx.Create(t.Context(), longrun.NewOperation{Operation: benchOp(longrun.SessionID{}, nil)}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	q := filterOf(t, s, "done=false")
	page, err := s.List(t.Context(), q)
	if err != nil || len(page.Operations) != q.Limit || !page.More {
		t.Fatalf("List = %d operations, more %v, %v; want a full page", len(page.Operations), page.More, err)
	}
	q.Limit = maxUnfinished + 100
	if page, err = s.List(t.Context(), q); err != nil || len(page.Operations) != maxUnfinished+1 {
		t.Errorf("List = %d operations, %v; want %d", len(page.Operations), err, maxUnfinished+1)
	}
}

// Every way in which what is not done can be on record is found.
func TestWhere_UnfinishedAcrossFloor(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{Now: func() time.Time { return clock }})
	session := longrun.NewSessionID()
	if _, err := s.Beat(t.Context(), longrun.Session{ID: session, Open: true, TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	want := 0
	for range 5 { // the floor goes up in between
		for _, change := range []func(*longrun.Operation){
			func(*longrun.Operation) {},
			func(op *longrun.Operation) { op.Claim.Session = session },
			func(op *longrun.Operation) { op.ConflictKey = "key" },
		} {
			op := benchOp(longrun.SessionID{}, nil)
			change(op)
			if _, err := s.Create(t.Context(), longrun.NewOperation{Operation: op}); err != nil {
				t.Fatal(err)
			}
			want++
		}
		clock = clock.Add(10 * time.Second)
		page, err := s.List(t.Context(), filterOf(t, s, "done=false"))
		if err != nil || len(page.Operations) != want {
			t.Errorf("List = %d operations, %v; want %d", len(page.Operations), err, want)
		}
	}
}

// The name that a condition compares is the name.
func TestWhere_Name(t *testing.T) {
	t.Parallel()
	s, _ := filled(t, 0)
	for _, parent := range []string{"", "projects/p", "a/b/c"} {
		op := benchOp(longrun.SessionID{}, nil)
		op.Parent = parent
		if _, err := s.Create(t.Context(), longrun.NewOperation{Operation: op}); err != nil {
			t.Fatal(err)
		}
		settleTest(t, s)
		var got string
		err := s.readers.with(t.Context(), func(c *conn) error {
			return c.query("SELECT "+whereColumns.Name+" FROM longrun_operation AS o WHERE o.id = ?",
				func(stmt *sqlite.Stmt) { stmt.BindBytes(1, op.ID[:]) },
				func(stmt *sqlite.Stmt) error { got = stmt.ColumnText(0); return nil })
		})
		if err != nil || got != op.Name().String() {
			t.Errorf("the name in SQL = %q, %v; want %q", got, err, op.Name())
		}
	}
}

// BenchmarkListPage is a page of 100 of one parent, with 10,000 operations in the
// file and with a million: the second may cost 1.5 times the first, and should
// cost 1.2 times. With -short the million is a hundred thousand.
func BenchmarkListPage(b *testing.B) {
	large := 1_000_000
	if testing.Short() {
		large = 100_000
	}
	for _, rows := range []int{10_000, large} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			s, _ := filled(b, rows)
			q := longrun.Query{Parent: "projects/3", Limit: 100}
			before := cpuTime(b)
			for b.Loop() {
				page, err := s.List(context.Background(), q)
				if err != nil || len(page.Operations) != q.Limit {
					b.Fatal(len(page.Operations), err)
				}
			}
			b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu_us/op")
		})
	}
}
