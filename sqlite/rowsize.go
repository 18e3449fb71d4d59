package sqlite

import (
	"github.com/longrun-dev/longrun"
)

// A row that keeps its size is overwritten in place. One that grows makes SQLite
// split its page, which costs more than everything else about the write: rows
// are stored in the order of their creation and fill their pages. So a row is
// stored with padding in its last column, from which it grows, and each update
// sets the padding so that the size stays, as long as there is enough.

// room is how much padding new rows get: what the end of most operations adds to
// theirs. It learns from those that end.
type room int

const (
	firstRoom room = 192
	maxRoom   room = 512
)

// learn moves r towards what one operation has needed: fast up and slowly down,
// so that it settles where most fit.
func (r *room) learn(needed int) {
	n := min(room(max(needed, 0)), maxRoom)
	if n > *r {
		*r += (n - *r + 7) / 8
	} else {
		*r -= (*r - n) / 64
	}
}

// rowSize is how many bytes SQLite needs for a row's columns except the padding,
// as its file format has it: a header with a number for each column, and the
// columns themselves.
func rowSize(op *longrun.Operation, packed parts) int {
	n := 2 + 2 + 2 // the size of the header in two bytes, and one each for create_time, state and hidden
	n += 16 + 1
	n += textSize(len(op.Parent)) + textSize(len(op.Method))
	if op.State != longrun.Pending {
		n++
	}
	n += optionalText(op.RequestID) + 1
	n += packed.session
	if !op.State.Done() {
		n += optionalText(op.ConflictKey)
		if !op.DeadlineTime.IsZero() {
			n += 8
		}
	} else {
		n++
	}
	if !op.ReadyTime.IsZero() {
		n += 8
	}
	if !op.ExpireTime.IsZero() {
		n += 8
	}
	n += 3 // ready_time, deadline_time, expire_time
	n += textSize(packed.cold) + textSize(packed.hot)
	n += optionalBytes(packed.response) + optionalBytes(packed.error)
	return n
}

// parts are the sizes of the packed columns, -1 for NULL, and of the session.
type parts struct{ cold, hot, response, error, session int }

// textSize is the size of a text or blob with its number in the header.
func textSize(n int) int {
	number := 2*n + 13
	size := 1
	for ; number >= 128; number >>= 7 {
		size++
	}
	return n + size
}

func optionalText(s string) int {
	if s == "" {
		return 1
	}
	return textSize(len(s))
}

func optionalBytes(n int) int {
	if n < 0 {
		return 1
	}
	return textSize(n)
}

// padding returns how much padding makes a row of so many bytes without it as
// large as old, 0 for a new row, and how large it then is.
func (r room) padding(op *longrun.Operation, without, old int) (pad, row int) {
	if fits := old - without; fits > 0 {
		for number := 1; number <= 4; number++ {
			if pad = fits - number; pad >= 0 && textSize(pad) == fits {
				return pad, old
			}
		}
	}
	if op.State.Done() {
		return 0, without + 1
	}
	return int(r), without + textSize(int(r))
}
