package sqlite

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/longrun-dev/longrun"
	"zombiezen.com/go/sqlite"
)

// Create stores n.Operation. See [longrun.Creator]. n.Write gets a *[Tx].
//
// n.Write runs on a goroutine of its own, while the writer waits for it: it must
// not call the store, except through its Tx, and should be quick. When it
// panics, Create returns an Internal error.
func (s *Store) Create(ctx context.Context, n longrun.NewOperation) (*longrun.Operation, error) {
	if err := s.begin(ctx, "create"); err != nil {
		return nil, err
	}
	c, err := newCreate(ctx, n)
	if err != nil {
		return nil, internal("create", "the operation cannot be encoded", err)
	}
	answered, err := s.write(ctx, c, c.bytes())
	if !answered {
		return nil, err
	}
	return c.result(err)
}

// createChange stores an operation. Its cold part is packed by the caller.
type createChange struct {
	outcome
	ctx    context.Context // of this call, for n.Write
	n      longrun.NewOperation
	cold   cold
	stored *record
}

func newCreate(ctx context.Context, n longrun.NewOperation) (*createChange, error) {
	packed, err := packCold(n.Operation)
	if err != nil {
		return nil, err
	}
	return &createChange{
		outcome: outcome{verb: "create", begins: true, guarded: n.Write != nil || n.DryRun},
		ctx:     ctx, n: n, cold: packed,
	}, nil
}

func (c *createChange) bytes() int {
	return recordOverhead + len(c.cold.packed) + len(c.cold.request) + len(c.n.Operation.Metadata.GetValue())
}

// result is what the caller gets: an operation also beside ErrExists.
func (c *createChange) result(err error) (*longrun.Operation, error) {
	if err != nil && err != longrun.ErrExists {
		return nil, err
	}
	return c.stored.copy(), err
}

func (c *createChange) apply(w *writer) error {
	op := c.n.Operation
	lost := !op.Claim.Session.IsZero() && !w.alive(op.Claim.Session)
	if lost || op.ConflictKey != "" {
		// Whether it is stored already comes before everything else.
		if err := c.earlier(w); err != nil || c.stored != nil {
			return err
		}
	}
	if lost {
		return longrun.ErrSessionLost
	}
	waits, err := w.conflict(op)
	if err != nil {
		return err
	}
	w.simple.sawID(op.ID) // also if it never gets there
	r := newRecord(op.Stored(w.s.clock.createTime(), waits))
	err = w.insert(r, c.cold)
	if isDuplicate(err) {
		if err := c.earlier(w); err != nil || c.stored != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	c.stored = r
	if op.ConflictKey != "" && !waits {
		if err := w.hold(r); err != nil {
			return err
		}
	}
	if c.n.Write != nil {
		if err := w.author(func(tx *Tx) error { return c.n.Write(c.ctx, tx) }); err != nil {
			return &theirError{authorError(c.verb, err)}
		}
	}
	if c.n.DryRun {
		return &theirError{nil}
	}
	return nil
}

// isDuplicate reports whether an insert met a row with the same id or request.
func isDuplicate(err error) bool {
	code := sqlite.ErrCode(err)
	return err != nil && (code == sqlite.ResultConstraintUnique || code == sqlite.ResultConstraintPrimaryKey)
}

const sqlByRequest = `SELECT ` + recordColumns + recordTables + `WHERE o.parent = ? AND o.method = ? AND o.request_id = ?`

// earlier finds what was stored under the same id, or by the same request, which
// is ErrExists.
func (c *createChange) earlier(w *writer) (err error) {
	op := c.n.Operation
	if c.stored, err = w.load(op.ID); err != nil || c.stored != nil {
		return err
	}
	if op.RequestID == "" {
		return nil
	}
	c.stored, err = w.c.one(sqlByRequest, bindRequest(op.Parent, op.Method, op.RequestID))
	if err == nil && c.stored != nil {
		return longrun.ErrExists
	}
	return err
}

func bindRequest(parent, method, id string) func(*sqlite.Stmt) {
	return func(stmt *sqlite.Stmt) {
		stmt.BindText(1, parent)
		stmt.BindText(2, method)
		stmt.BindText(3, id)
	}
}

// author runs an author's function inside the open transaction, on a goroutine
// of its own, so that its panic or its runtime.Goexit does not end the writer.
func (w *writer) author(f func(*Tx) error) error {
	tx := &Tx{w: w, open: true}
	err := error(&authorPanic{value: "the function did not return"})
	done := make(chan struct{})
	w.authors = true
	go func() {
		defer close(done)
		defer func() {
			if v := recover(); v != nil {
				err = &authorPanic{value: v, stack: debug.Stack()}
			}
		}()
		err = f(tx)
	}()
	<-done
	w.authors = false
	tx.end()
	if left := tx.check(); err == nil {
		err = left
	}
	if p, ok := err.(*authorPanic); ok {
		return internal("create", "a function of the caller panicked", p)
	}
	return err
}

// check refuses a transaction whose author left a statement open, and resets
// what it can, so that the connection is fit for the next one.
func (t *Tx) check() (err error) {
	for range 100 {
		left := t.w.c.CheckReset()
		if left == "" {
			return err
		}
		err = fmt.Errorf("a statement was left open: %s", left)
		if _, again := t.w.c.Prepare(left); again != nil {
			return err
		}
	}
	return err
}
