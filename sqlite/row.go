package sqlite

import (
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/longrun-dev/longrun"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"zombiezen.com/go/sqlite"
)

// asideBytes is from which size on a request gets a row of its own, so that it
// is not rewritten with every change of its operation.
const asideBytes = 1024

// record is an operation as the store keeps it. Nobody changes what op points
// to: what leaves the store is a copy.
type record struct {
	op      *longrun.Operation
	aside   bool // the request has a row of its own
	stepped bool // it may have steps
	size    int  // about how much memory it takes
	cold    int  // how many bytes its cold column has
	row     int  // how many bytes its row has
	base    int  // how many it had when it was new, without padding; 0 if that is forgotten
	// inDoubt says that a commit is under way that replaces this record, so
	// that only the database knows which of the two there is.
	inDoubt atomic.Bool
}

// copy returns the operation for somebody outside the store.
func (r *record) copy() *longrun.Operation {
	op := *r.op
	return &op
}

// rowid is the primary key: create times are different for each operation.
func (r *record) rowid() int64 { return r.op.CreateTime.UnixMicro() }

// The packed columns are protobuf on the wire: fields that a version does not
// know are skipped, and fields that are zero are left out.
const (
	coldRequest = iota + 1
	coldCaller
	coldTraceParent
	coldRequestHash
	coldOnConflict
	coldExecutionTimeout
	coldMaxFailures
	coldRetention
	coldFlags
	coldConflictKey
	coldLabelKey // each followed by its coldLabelValue
	coldLabelValue
)

const (
	coldAtMostOnce = 1 << iota
	coldPinned
	coldAside
	coldLabels // not nil
)

const (
	hotRevision = iota + 1
	hotSession
	hotAttempt
	hotCall
	hotFailures
	hotFlags
	hotMetadata
	hotCompletedSteps
	hotStartTime // times are counted from the create time
	hotClaimTime
	hotUpdateTime
	hotEndTime
	hotDeadlineTime
)

const (
	hotCancelRequested = 1 << iota
	hotPreempted
	hotEndedByRun
	hotStepped
)

func appendInt(b []byte, field protowire.Number, v int64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return protowire.AppendVarint(b, protowire.EncodeZigZag(v))
}

func appendString(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendString(b, s)
}

// appendAny keeps nil and empty apart: nil is left out.
func appendAny(b []byte, field protowire.Number, m *anypb.Any) ([]byte, error) {
	if m == nil {
		return b, nil
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(proto.Size(m)))
	return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, m)
}

func flags(set ...bool) (f int64) {
	for i, s := range set {
		if s {
			f |= 1 << i
		}
	}
	return f
}

// cold is the packed part of an operation that hardly ever changes.
type cold struct {
	packed  []byte
	request []byte // for a row of its own; nil if it is in packed
}

// packCold packs op's cold part.
func packCold(op *longrun.Operation) (cold, error) {
	var c cold
	aside := op.Request != nil && len(op.Request.GetValue()) >= asideBytes
	b := make([]byte, 0, 128+len(op.Request.GetTypeUrl())+min(len(op.Request.GetValue()), asideBytes))
	var err error
	if aside {
		c.request, err = proto.Marshal(op.Request)
	} else {
		b, err = appendAny(b, coldRequest, op.Request)
	}
	if err != nil {
		return cold{}, fmt.Errorf("encode request: %w", err)
	}
	b = appendString(b, coldCaller, op.Caller)
	b = appendString(b, coldTraceParent, op.TraceParent)
	if op.RequestHash != ([32]byte{}) {
		b = protowire.AppendTag(b, coldRequestHash, protowire.BytesType)
		b = protowire.AppendBytes(b, op.RequestHash[:])
	}
	b = appendInt(b, coldOnConflict, int64(op.OnConflict))
	b = appendInt(b, coldExecutionTimeout, int64(op.ExecutionTimeout))
	b = appendInt(b, coldMaxFailures, int64(op.MaxFailures))
	b = appendInt(b, coldRetention, int64(op.Retention))
	b = appendInt(b, coldFlags, flags(op.AtMostOnce, op.Pinned, aside, op.Labels != nil))
	b = appendString(b, coldConflictKey, op.ConflictKey)
	for k, v := range op.Labels {
		b = protowire.AppendTag(b, coldLabelKey, protowire.BytesType)
		b = protowire.AppendString(b, k)
		b = protowire.AppendTag(b, coldLabelValue, protowire.BytesType)
		b = protowire.AppendString(b, v)
	}
	c.packed = b
	return c, nil
}

// sameCold reports whether a and b have the same cold part.
func sameCold(a, b *longrun.Operation) bool {
	return a.Request == b.Request && a.Caller == b.Caller && a.TraceParent == b.TraceParent &&
		a.RequestHash == b.RequestHash && a.OnConflict == b.OnConflict &&
		a.ExecutionTimeout == b.ExecutionTimeout && a.MaxFailures == b.MaxFailures &&
		a.Retention == b.Retention && a.AtMostOnce == b.AtMostOnce && a.Pinned == b.Pinned &&
		a.ConflictKey == b.ConflictKey && (a.Labels == nil) == (b.Labels == nil) && maps.Equal(a.Labels, b.Labels)
}

// appendHot packs the part of r that changes.
func appendHot(b []byte, r *record) ([]byte, error) {
	op := r.op
	b = appendInt(b, hotRevision, op.Revision)
	if !op.Claim.Session.IsZero() {
		b = protowire.AppendTag(b, hotSession, protowire.BytesType)
		b = protowire.AppendBytes(b, op.Claim.Session[:])
	}
	b = appendInt(b, hotAttempt, op.Claim.Attempt)
	b = appendInt(b, hotCall, op.Claim.Call)
	b = appendInt(b, hotFailures, int64(op.Failures))
	b = appendInt(b, hotFlags, flags(op.CancelRequested, op.Preempted, op.EndedByRun, r.stepped))
	b = appendInt(b, hotCompletedSteps, int64(op.CompletedSteps))
	b = appendTime(b, hotStartTime, op.StartTime, op.CreateTime)
	b = appendTime(b, hotClaimTime, op.ClaimTime, op.CreateTime)
	b = appendTime(b, hotUpdateTime, op.UpdateTime, op.CreateTime)
	b = appendTime(b, hotEndTime, op.EndTime, op.CreateTime)
	b = appendTime(b, hotDeadlineTime, op.DeadlineTime, op.CreateTime)
	b, err := appendAny(b, hotMetadata, op.Metadata)
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	return b, nil
}

// appendTime writes t, also when it is the create time itself.
func appendTime(b []byte, field protowire.Number, t, create time.Time) []byte {
	if t.IsZero() {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return protowire.AppendVarint(b, protowire.EncodeZigZag(t.UnixMicro()-create.UnixMicro()))
}

// fields calls f for every field of a packed column: n for a number, p for
// bytes, which f must not keep.
func fields(b []byte, f func(field protowire.Number, n int64, p []byte) error) error {
	for len(b) > 0 {
		field, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		var n int64
		var p []byte
		switch kind {
		case protowire.VarintType:
			var v uint64
			v, size = protowire.ConsumeVarint(b)
			n = protowire.DecodeZigZag(v)
		case protowire.BytesType:
			p, size = protowire.ConsumeBytes(b)
		default:
			size = protowire.ConsumeFieldValue(field, kind, b)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		if err := f(field, n, p); err != nil {
			return err
		}
	}
	return nil
}

func unpackAny(p []byte) (*anypb.Any, error) {
	m := &anypb.Any{}
	return m, proto.Unmarshal(p, m)
}

// unpackCold fills r from its cold column.
func unpackCold(r *record, b []byte) error {
	op := r.op
	label := ""
	return fields(b, func(field protowire.Number, n int64, p []byte) (err error) {
		switch field {
		case coldRequest:
			op.Request, err = unpackAny(p)
		case coldCaller:
			op.Caller = string(p)
		case coldTraceParent:
			op.TraceParent = string(p)
		case coldRequestHash:
			copy(op.RequestHash[:], p)
		case coldOnConflict:
			op.OnConflict = longrun.ConflictPolicy(n)
		case coldExecutionTimeout:
			op.ExecutionTimeout = time.Duration(n)
		case coldMaxFailures:
			op.MaxFailures = int(n)
		case coldRetention:
			op.Retention = time.Duration(n)
		case coldConflictKey:
			op.ConflictKey = string(p)
		case coldFlags:
			op.AtMostOnce, op.Pinned, r.aside = n&coldAtMostOnce != 0, n&coldPinned != 0, n&coldAside != 0
			if n&coldLabels != 0 {
				op.Labels = map[string]string{}
			}
		case coldLabelKey:
			label = string(p)
		case coldLabelValue:
			if op.Labels == nil {
				return fmt.Errorf("label %q of no labels", label)
			}
			op.Labels[label] = string(p)
		}
		return err
	})
}

// unpackHot fills r, whose CreateTime is set, from its hot column.
func unpackHot(r *record, b []byte) error {
	op := r.op
	return fields(b, func(field protowire.Number, n int64, p []byte) (err error) {
		at := func() time.Time { return op.CreateTime.Add(time.Duration(n) * time.Microsecond) }
		switch field {
		case hotRevision:
			op.Revision = n
		case hotSession:
			copy(op.Claim.Session[:], p)
		case hotAttempt:
			op.Claim.Attempt = n
		case hotCall:
			op.Claim.Call = n
		case hotFailures:
			op.Failures = int(n)
		case hotFlags:
			op.CancelRequested, op.Preempted = n&hotCancelRequested != 0, n&hotPreempted != 0
			op.EndedByRun, r.stepped = n&hotEndedByRun != 0, n&hotStepped != 0
		case hotMetadata:
			op.Metadata, err = unpackAny(p)
		case hotCompletedSteps:
			op.CompletedSteps = int(n)
		case hotStartTime:
			op.StartTime = at()
		case hotClaimTime:
			op.ClaimTime = at()
		case hotUpdateTime:
			op.UpdateTime = at()
		case hotEndTime:
			op.EndTime = at()
		case hotDeadlineTime:
			op.DeadlineTime = at()
		}
		return err
	})
}

// recordColumns are what scanRecord reads, in its order. The request that has a
// row of its own is fetched with it.
const recordColumns = `o.create_time, o.id, o.parent, o.method, o.state, o.hidden, o.request_id,
	o.ready_time, o.expire_time, o.cold, o.hot, o.response, o.error, r.request, length(o.pad)`

const recordTables = ` FROM longrun_operation AS o LEFT JOIN longrun_request AS r USING (create_time) `

// scanRecord reads the row on which stmt stands.
func scanRecord(stmt *sqlite.Stmt) (*record, error) {
	r := &record{op: &longrun.Operation{}}
	op := r.op
	op.CreateTime = timeAt(stmt.ColumnInt64(0))
	stmt.ColumnBytes(1, op.ID[:])
	op.Parent = stmt.ColumnText(2)
	op.Method = stmt.ColumnText(3)
	op.State = longrun.State(stmt.ColumnInt64(4))
	op.Hidden = stmt.ColumnInt64(5) != 0
	op.RequestID = stmt.ColumnText(6)
	op.ReadyTime = columnTime(stmt, 7)
	op.ExpireTime = columnTime(stmt, 8)
	coldBytes, hotBytes := columnBytes(stmt, 9), columnBytes(stmt, 10)
	p := parts{cold: len(coldBytes), hot: len(hotBytes), response: -1, error: -1}
	err := unpackCold(r, coldBytes)
	if err == nil {
		err = unpackHot(r, hotBytes)
	}
	if b := columnBytes(stmt, 11); err == nil && b != nil {
		op.Response, err = unpackAny(b)
		p.response = len(b)
	}
	if b := columnBytes(stmt, 12); err == nil && b != nil {
		op.Error = &statuspb.Status{}
		err = proto.Unmarshal(b, op.Error)
		p.error = len(b)
	}
	request := columnBytes(stmt, 13)
	if err == nil && request != nil {
		op.Request, err = unpackAny(request)
	}
	if err != nil {
		return nil, fmt.Errorf("row %d: %w", stmt.ColumnInt64(0), err)
	}
	r.cold = p.cold
	r.row = rowSize(op, p) + textSize(stmt.ColumnInt(14))
	r.size = recordOverhead + r.row + len(request)
	return r, nil
}

// recordOverhead is about what a record takes beside its payloads.
const recordOverhead = 1024

// timeAt returns the time of a column.
func timeAt(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// columnTime returns the zero time for NULL.
func columnTime(stmt *sqlite.Stmt, col int) time.Time {
	if stmt.ColumnIsNull(col) {
		return time.Time{}
	}
	return timeAt(stmt.ColumnInt64(col))
}

// columnBytes returns nil for NULL and only for NULL.
func columnBytes(stmt *sqlite.Stmt, col int) []byte {
	if stmt.ColumnIsNull(col) {
		return nil
	}
	b := make([]byte, stmt.ColumnLen(col))
	stmt.ColumnBytes(col, b)
	return b
}

// bindTime binds NULL for the zero time.
func bindTime(stmt *sqlite.Stmt, param int, t time.Time) {
	if t.IsZero() {
		stmt.BindNull(param)
		return
	}
	stmt.BindInt64(param, t.UnixMicro())
}

// bindText binds NULL for the empty string.
func bindText(stmt *sqlite.Stmt, param int, s string) {
	if s == "" {
		stmt.BindNull(param)
		return
	}
	stmt.BindText(param, s)
}

// bindBytes binds NULL for nil.
func bindBytes(stmt *sqlite.Stmt, param int, b []byte) {
	if b == nil {
		stmt.BindNull(param)
		return
	}
	stmt.BindBytes(param, b)
}

// wholeMicros cuts op's times, which is the caller's to change, to what a store
// keeps.
func wholeMicros(op *longrun.Operation) {
	for _, t := range [...]*time.Time{
		&op.StartTime, &op.ClaimTime, &op.UpdateTime, &op.EndTime,
		&op.ReadyTime, &op.DeadlineTime, &op.ExpireTime,
	} {
		if t.Nanosecond()%1000 != 0 {
			*t = t.Truncate(time.Microsecond)
		}
		if t.Location() != time.UTC {
			*t = t.UTC()
		}
	}
}

// marshal never returns nil, which would be NULL.
func marshal(m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{}.MarshalAppend([]byte{}, m)
}
