package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/longrun-dev/longrun"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// An entry of the redo log is a record as a change has left it. That of a new
// record is whole; any other leaves out what hardly ever changes, and stands on
// the entry or the row before it. Entries are protobuf on the wire, as the packed
// columns are, each after its length in four bytes.
const (
	redoID = iota + 1
	redoCreateTime
	redoParent
	redoMethod
	redoRequestID
	redoState
	redoReadyTime // times are counted from the create time
	redoExpireTime
	redoCold // of a whole record, and only of that
	redoRequest
	redoHot
	redoResponse
	redoError
)

// lengthBytes is the size of what stands before an entry.
const lengthBytes = 4

// appendEntry appends next, whole if c is not nil.
func appendEntry(b []byte, next *record, c *cold) ([]byte, error) {
	begin := len(b)
	b = append(b, 0, 0, 0, 0)
	op := next.op
	b = appendBytes(b, redoID, op.ID[:])
	if c != nil {
		b = appendInt(b, redoCreateTime, next.rowid())
		b = appendString(b, redoParent, op.Parent)
		b = appendString(b, redoMethod, op.Method)
		b = appendString(b, redoRequestID, op.RequestID)
		b = appendBytes(b, redoCold, c.packed)
		if c.request != nil {
			b = appendBytes(b, redoRequest, c.request)
		}
	}
	b = appendInt(b, redoState, int64(op.State))
	b = appendTime(b, redoReadyTime, op.ReadyTime, op.CreateTime)
	b = appendTime(b, redoExpireTime, op.ExpireTime, op.CreateTime)
	b, err := appendNested(b, redoHot, func(b []byte) ([]byte, error) { return appendHot(b, next) })
	if err == nil {
		b, err = appendAny(b, redoResponse, op.Response)
	}
	if err == nil && op.Error != nil {
		b, err = appendNested(b, redoError, func(b []byte) ([]byte, error) {
			return proto.MarshalOptions{}.MarshalAppend(b, op.Error)
		})
	}
	if err != nil {
		return nil, err
	}
	binary.LittleEndian.PutUint32(b[begin:], uint32(len(b)-begin-lengthBytes))
	return b, nil
}

func appendBytes(b []byte, field protowire.Number, p []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, p)
}

// appendNested appends what write appends as one field. The length in front of it
// is written in three bytes, whatever it is, so that nothing has to be moved.
func appendNested(b []byte, field protowire.Number, write func([]byte) ([]byte, error)) ([]byte, error) {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	at := len(b)
	b, err := write(append(b, 0, 0, 0))
	if err != nil {
		return nil, err
	}
	n := len(b) - at - 3
	if n >= 1<<21 {
		return nil, fmt.Errorf("%d bytes are too many for the redo log", n)
	}
	b[at], b[at+1], b[at+2] = byte(n)|0x80, byte(n>>7)|0x80, byte(n>>14)
	return b, nil
}

// entry is an entry as it was read.
type entry struct {
	id      longrun.ID
	created int64 // of a whole record
	op      longrun.Operation
	cold    []byte // nil unless the record is whole
	request []byte
	hot     []byte
	ready   *int64
	expire  *int64
}

// eachEntry calls f with every entry of a frame's payload.
func eachEntry(payload []byte, f func(entry) error) error {
	for len(payload) > 0 {
		if len(payload) < lengthBytes {
			return errors.New("redo log: an entry is cut off")
		}
		n := uint64(binary.LittleEndian.Uint32(payload))
		payload = payload[lengthBytes:]
		if n > uint64(len(payload)) {
			return errors.New("redo log: an entry is cut off")
		}
		e, err := readEntry(payload[:n])
		if err != nil {
			return err
		}
		if err := f(e); err != nil {
			return err
		}
		payload = payload[n:]
	}
	return nil
}

func readEntry(b []byte) (e entry, err error) {
	err = fields(b, func(field protowire.Number, n int64, p []byte) (err error) {
		switch field {
		case redoID:
			if len(p) != len(e.id) {
				return fmt.Errorf("an id of %d bytes", len(p))
			}
			copy(e.id[:], p)
		case redoCreateTime:
			e.created = n
		case redoParent:
			e.op.Parent = string(p)
		case redoMethod:
			e.op.Method = string(p)
		case redoRequestID:
			e.op.RequestID = string(p)
		case redoState:
			e.op.State = longrun.State(n)
		case redoReadyTime:
			e.ready = &n
		case redoExpireTime:
			e.expire = &n
		case redoCold:
			e.cold = p
		case redoRequest:
			e.request = p
		case redoHot:
			e.hot = p
		case redoResponse:
			e.op.Response, err = unpackAny(p)
		case redoError:
			e.op.Error = &statuspb.Status{}
			err = proto.Unmarshal(p, e.op.Error)
		}
		return err
	})
	if err != nil {
		return entry{}, fmt.Errorf("redo log: %w", err)
	}
	return e, nil
}

// record returns what e makes of before, which is nil if e is whole.
func (e entry) record(before *record) (*record, error) {
	op := e.op
	op.ID = e.id
	r := &record{op: &op}
	if e.cold != nil {
		op.CreateTime = timeAt(e.created)
		if err := unpackCold(r, e.cold); err != nil {
			return nil, fmt.Errorf("redo log: %w", err)
		}
		if e.request != nil {
			m, err := unpackAny(e.request)
			if err != nil {
				return nil, fmt.Errorf("redo log: %w", err)
			}
			op.Request = m
		}
	} else {
		if before == nil {
			return nil, fmt.Errorf("redo log: a change of operation %v, which is not there", e.id)
		}
		keepCold(&op, before.op)
	}
	if e.ready != nil {
		op.ReadyTime = timeAt(op.CreateTime.UnixMicro() + *e.ready)
	}
	if e.expire != nil {
		op.ExpireTime = timeAt(op.CreateTime.UnixMicro() + *e.expire)
	}
	if err := unpackHot(r, e.hot); err != nil {
		return nil, fmt.Errorf("redo log: %w", err)
	}
	return r, nil
}

// keepCold gives op what an entry that is not whole leaves out.
func keepCold(op, before *longrun.Operation) {
	op.CreateTime, op.Parent, op.Method, op.RequestID = before.CreateTime, before.Parent, before.Method, before.RequestID
	op.Request, op.Caller, op.TraceParent, op.RequestHash = before.Request, before.Caller, before.TraceParent, before.RequestHash
	op.OnConflict, op.ConflictKey, op.Labels = before.OnConflict, before.ConflictKey, before.Labels
	op.ExecutionTimeout, op.MaxFailures, op.Retention = before.ExecutionTimeout, before.MaxFailures, before.Retention
	op.AtMostOnce, op.Pinned = before.AtMostOnce, before.Pinned
}
