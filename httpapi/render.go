package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/longrun-dev/longrun/internal/mask"
)

// buffers are for replies that are being written.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled is the largest buffer that is kept for the next reply.
const maxPooled = 64 << 10

func recycle(buf *[]byte, used []byte) {
	if cap(used) <= maxPooled {
		*buf = used[:0]
		buffers.Put(buf)
	}
}

// mask reads the mask of a request, from the parameter or else from the header
// (SYS-06), and checks it against the reply's type before anything is done (SYS-10).
func (b *binding) mask(s system, header string) (mask.Mask, error) {
	text := header
	if s.hasMask {
		text = s.mask
	}
	if text == "" {
		return mask.Mask{}, nil
	}
	m, err := mask.Parse(text)
	if err == nil {
		err = m.Validate(b.desc.Output())
	}
	if err != nil {
		return mask.Mask{}, maskFault(err)
	}
	return m, nil
}

// maskFault shows what the mask has where it is wrong, in the details too (ERR-06).
func maskFault(err error) *fault {
	f := invalid(ReasonInvalidFieldMask, "fields", "fields: %v", err)
	if e, ok := errors.AsType[*mask.Error](err); ok {
		f.info = map[string]string{"offset": strconv.Itoa(e.Offset)}
		if e.Segment != "" {
			f.info["segment"] = e.Segment
		}
	}
	return f
}

// render writes a reply behind buf: what the mask keeps of it, and of that the field
// that the rule names.
func (h *Handler) render(buf []byte, b *binding, reply proto.Message, s system, m mask.Mask) ([]byte, error) {
	if !m.All() {
		kept, err := m.Apply(reply, h.types)
		if err != nil {
			return nil, err
		}
		reply = kept
	}
	o := protojson.MarshalOptions{Resolver: opaque{h.types}, UseEnumNumbers: s.enumNumbers, AllowPartial: true}
	if s.pretty {
		o.Multiline, o.Indent = true, "  "
	}
	if b.response == nil {
		return marshal(buf, o, reply)
	}
	return renderField(buf, o, reply.ProtoReflect(), b.response)
}

// marshal writes m, leniently if it cannot be written otherwise.
func marshal(buf []byte, o protojson.MarshalOptions, m proto.Message) ([]byte, error) {
	types := o.Resolver.(opaque)
	var err error
	if !nestedMany(m.ProtoReflect()) {
		var out []byte
		if out, err = o.MarshalAppend(buf, m); err == nil {
			return out, nil
		}
	}
	o.Resolver = lenient{types}
	out, again := o.MarshalAppend(buf, m)
	if again != nil {
		return nil, fmt.Errorf("encode %s: %w", m.ProtoReflect().Descriptor().FullName(), again)
	}
	return out, nil
}

// renderField writes one field of m (response_body).
func renderField(buf []byte, o protojson.MarshalOptions, m protoreflect.Message, fd protoreflect.FieldDescriptor) ([]byte, error) {
	fd = own(m, fd)
	if fd.Message() != nil && !fd.IsList() && !fd.IsMap() {
		return marshal(buf, o, m.Get(fd).Message().Interface())
	}
	alone := m.New()
	if m.Has(fd) {
		alone.Set(fd, m.Get(fd))
	}
	o.EmitUnpopulated = true // an empty list is a reply too
	whole, err := marshal(nil, o, alone.Interface())
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(whole, &fields); err != nil {
		return nil, err
	}
	return append(buf, fields[fd.JSONName()]...), nil
}
