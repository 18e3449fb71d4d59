package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/longrun-dev/longrun/longrunpb"
)

// view is what people want to know of an operation.
type view struct {
	name, method, labels    string
	state, message          string
	created, started, ended time.Time
	expires                 time.Time
	done, total             int64 // units
	attempt                 int64
	cancelling              bool
}

// look reads an operation. One with metadata of its own shows less: when it was created
// is in its id.
func look(op *longrunningpb.Operation) view {
	v := view{name: op.GetName(), state: "-"}
	md := &longrunpb.OperationMetadata{}
	if op.GetMetadata().MessageIs(md) && op.GetMetadata().UnmarshalTo(md) == nil {
		v.method, v.state = md.GetMethod(), md.GetState().String()
		v.created, v.started = when(md.GetCreateTime()), when(md.GetStartTime())
		v.ended, v.expires = when(md.GetEndTime()), when(md.GetExpireTime())
		v.done, v.total = md.GetProgress().GetCompletedUnits(), md.GetProgress().GetTotalUnits()
		v.message = cmp.Or(md.GetStatusMessage(), md.GetProgress().GetPhase())
		v.labels = labelList(md.GetLabels())
		v.attempt, v.cancelling = md.GetAttempt(), md.GetRequestedCancellation()
	}
	if v.created.IsZero() {
		v.created = createdBy(op.GetName())
	}
	if op.GetDone() {
		v.state = outcome(op)
		if op.GetError() != nil {
			v.message = op.GetError().GetMessage()
		}
	}
	v.method, v.message, v.labels = printable(v.method), printable(v.message), printable(v.labels)
	return v
}

// createdBy is when an operation of this name was created, to the millisecond, zero if
// the name does not say. Our servers end names in a UUIDv7, which has the time in it.
func createdBy(name string) time.Time {
	id, err := uuid.Parse(name[strings.LastIndexByte(name, '/')+1:])
	if err != nil || id.Version() != 7 {
		return time.Time{}
	}
	sec, nsec := id.Time().UnixTime()
	return time.Unix(sec, nsec)
}

// labelList is labels in one line.
func labelList(labels map[string]string) string {
	var all []string
	for k, v := range labels {
		all = append(all, k+"="+v)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// outcome is the state of an operation that is done.
func outcome(op *longrunningpb.Operation) string {
	switch {
	case op.GetError() == nil:
		return "SUCCEEDED"
	case codes.Code(op.GetError().GetCode()) == codes.Canceled:
		return "CANCELLED"
	}
	return "FAILED"
}

// progress is how far the operation is, "" if it does not say.
func (v view) progress() string {
	switch {
	case v.total > 0:
		return fmt.Sprintf("%d%%", min(v.done, v.total)*100/v.total)
	case v.done > 0:
		return fmt.Sprint(v.done)
	}
	return ""
}

// when is the time of a stamp, zero if there is none.
func when(t *timestamppb.Timestamp) time.Time {
	if !t.IsValid() {
		return time.Time{}
	}
	return t.AsTime()
}

// ago is how long it is from t to now, for people: "12s", "5m", "3h", "8d".
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := max(now.Sub(t), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// took is a duration for people, rounded to what they care for.
func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	}
	return d.Round(time.Minute).String()
}
