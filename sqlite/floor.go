package sqlite

import (
	"slices"
	"time"

	"github.com/longrun-dev/longrun"
	"zombiezen.com/go/sqlite"
)

// floor keeps what has just begun out of the index of sessions. That index is
// read when the file is opened, to find what runs; most operations would enter it
// only to leave it within a second, and pay for both. So a row that is created
// after the floor runs without being in it. The floor is stored, and goes up every
// second or so, when it takes in what still runs below it. What runs is then what
// is in the index, and what a look at the rows above the floor finds.
//
// It is the writer's. A commit that went wrong after the floor went up may have
// happened or not. So the floor stays up for what is claimed from now on, and what
// it has passed is indexed again by the next commit that stores it.
type floor struct {
	at     int64   // rows that were created earlier are indexed when they are claimed
	stored int64   // by the open transaction; 0 where it stores none
	young  []young // what was claimed without being indexed, and may have ended meanwhile
}

// young is a row that was claimed without being indexed.
type young struct {
	row int64
	id  longrun.ID
}

// maxRaise is how many rows one commit takes into the index. The floor goes up
// as far as that reaches.
const maxRaise = 10_000

const sqlIndex = `UPDATE longrun_operation SET session = ?2 WHERE create_time = ?1 AND state = 2`

// indexed returns what op's row has in the indexed column: its session, or nil.
func (w *writer) indexed(op *longrun.Operation) []byte {
	if op.State != longrun.Running || op.CreateTime.UnixMicro() >= w.floor.at {
		return nil
	}
	return op.Claim.Session[:]
}

// raiseFloor indexes what runs and was created before t, as the open transaction
// has it, and raises the floor to there.
func (w *writer) raiseFloor(t time.Time) error {
	to := t.UnixMicro()
	var below []young
	for _, y := range w.floor.young {
		if y.row < to {
			below = append(below, y)
		}
	}
	for id, r := range w.overlay {
		if r != removed && r.op.State == longrun.Running && r.rowid() < to {
			below = append(below, young{row: r.rowid(), id: id})
		}
	}
	if len(below) > maxRaise {
		slices.SortFunc(below, func(a, b young) int { return int(a.row - b.row) })
		to = below[maxRaise].row
		below = below[:maxRaise]
	}
	for _, y := range below {
		r, err := w.load(y.id)
		if err != nil {
			return err
		}
		if r == nil || r.op.State != longrun.Running {
			continue
		}
		err = w.c.exec(sqlIndex, func(stmt *sqlite.Stmt) {
			stmt.BindInt64(1, y.row)
			stmt.BindBytes(2, r.op.Claim.Session[:])
		})
		if err != nil {
			return err
		}
	}
	w.floor.at, w.floor.stored = max(to, w.floor.at), to
	return nil
}

// publish notes what a commit has claimed above the floor, and forgets what the
// commit has indexed.
func (f *floor) publish(puts []put) {
	for _, p := range puts {
		if p.next == removed || p.next.op.State != longrun.Running {
			continue
		}
		if p.next.rowid() >= f.at && (p.old == nil || p.old.op.State != longrun.Running) {
			f.young = append(f.young, young{row: p.next.rowid(), id: p.id})
		}
	}
	if f.stored > 0 {
		f.young = slices.DeleteFunc(f.young, func(y young) bool { return y.row < f.stored })
	}
}
