package longrun

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Required fields are those with google.api.field_behavior REQUIRED. AIP-203: the
// field must be present and not empty, which for a field without presence is any value
// but its zero, so that a required bool must be true; for a list or a map, one entry;
// for a message or another field with presence, that it is set. Fields of a message
// are required where the message is set. What is OUTPUT_ONLY is the service's, and not
// looked at.
//
// In the request of an update (AIP-134), one with an update_mask, fields of the
// resource may be left out where the mask leaves them out. A mask that is absent or
// empty stands for what is populated, and "*" for everything. Its name is never left
// out: it says which resource it is.
//
// The entries of a batch (AIP-233, AIP-234) may leave out what the batch says itself, in
// a field of the same name and type: the parent, or the update_mask.
//
// Of a oneof with a required field, one is required, whichever it is: to ask for more
// than one is to refuse every request.

// maxViolations is how many missing fields an error names.
const maxViolations = 10

// A demand is what the messages of a type must have.
type demand struct {
	required []protoreflect.FieldDescriptor
	below    []demandBelow
	mask     protoreflect.FieldDescriptor // update_mask; nil where the message is no update
	resource protoreflect.FieldDescriptor // what the mask is of
	live     bool                         // something is required, here or below
}

// demandBelow is a field whose messages must have something.
type demandBelow struct {
	field protoreflect.FieldDescriptor
	*demand
}

// demands has the demand of each type of request that was started, by its
// descriptor; nil where nothing is required.
var demands sync.Map

func demandOf(md protoreflect.MessageDescriptor) *demand {
	if d, ok := demands.Load(md); ok {
		return d.(*demand)
	}
	types := map[protoreflect.FullName]*demand{}
	d := readDemand(types, md)
	for changed := true; changed; {
		changed = false
		for _, t := range types {
			if !t.live && slices.ContainsFunc(t.below, func(b demandBelow) bool { return b.live }) {
				t.live, changed = true, true
			}
		}
	}
	for _, t := range types {
		t.below = slices.DeleteFunc(t.below, func(b demandBelow) bool { return !b.live })
	}
	if !d.live {
		d = nil
	}
	demands.Store(md, d)
	return d
}

// readDemand reads the annotations of a type and of all that it holds.
func readDemand(types map[protoreflect.FullName]*demand, md protoreflect.MessageDescriptor) *demand {
	if d := types[md.FullName()]; d != nil {
		return d
	}
	d := &demand{}
	types[md.FullName()] = d
	for i := range md.Fields().Len() {
		f := md.Fields().Get(i)
		behaviors, _ := proto.GetExtension(f.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
		if slices.Contains(behaviors, annotations.FieldBehavior_OUTPUT_ONLY) {
			continue
		}
		if slices.Contains(behaviors, annotations.FieldBehavior_REQUIRED) {
			d.required = append(d.required, f)
		}
		if m := messageOf(f); m != nil {
			d.below = append(d.below, demandBelow{f, readDemand(types, m)})
		}
	}
	d.mask, d.resource = updated(md)
	d.live = len(d.required) > 0
	return d
}

// messageOf returns the messages that a field holds, itself or in a list or map.
func messageOf(f protoreflect.FieldDescriptor) protoreflect.MessageDescriptor {
	if f.IsMap() {
		return f.MapValue().Message()
	}
	return f.Message()
}

// updated returns the update_mask of the request of an update, and the resource that
// it is of: the message beside it, and of several the one that the request is called
// after. They are nil where md is no such request.
func updated(md protoreflect.MessageDescriptor) (mask, resource protoreflect.FieldDescriptor) {
	mask = md.Fields().ByName("update_mask")
	if mask == nil || mask.IsList() || mask.Message() == nil || mask.Message().FullName() != "google.protobuf.FieldMask" {
		return nil, nil
	}
	beside := 0
	for i := range md.Fields().Len() {
		f := md.Fields().Get(i)
		if f.Message() == nil || f.IsList() || f.IsMap() || f.Message().ParentFile().Package() == "google.protobuf" {
			continue
		}
		if strings.EqualFold("Update"+strings.ReplaceAll(string(f.Name()), "_", "")+"Request", string(md.Name())) {
			return mask, f
		}
		resource, beside = f, beside+1
	}
	if beside != 1 {
		return nil, nil
	}
	return mask, resource
}

// A scope says which fields of an updated resource its mask names. A nil scope has all
// of them.
type scope struct {
	fields map[string]*scope // nil for a field: it is named itself, with all below
	// implied means that what is populated is named too.
	implied bool
}

// scopeOf reads a mask.
func scopeOf(mask protoreflect.Message) *scope {
	paths := mask.Get(mask.Descriptor().Fields().ByName("paths")).List()
	top := &scope{fields: map[string]*scope{}, implied: paths.Len() == 0}
	for i := range paths.Len() {
		path := paths.Get(i).String()
		if path == "*" {
			return nil
		}
		top.add(path)
	}
	top.add("name")
	return top
}

func (s *scope) add(path string) {
	for {
		first, rest, more := strings.Cut(path, ".")
		below, named := s.fields[first]
		if named && below == nil {
			return // with all below
		}
		if !more {
			s.fields[first] = nil
			return
		}
		if below == nil {
			below = &scope{fields: map[string]*scope{}}
			s.fields[first] = below
		}
		s, path = below, rest
	}
}

// has reports whether the field itself is named.
func (s *scope) has(f protoreflect.FieldDescriptor) bool {
	if s == nil {
		return true
	}
	below, named := s.fields[string(f.Name())]
	return named && below == nil
}

// checkRequired returns an error that names the required fields that m lacks, below
// the path before.
func checkRequired(m protoreflect.Message, before string) error {
	d := demandOf(m.Descriptor())
	if d == nil {
		return nil
	}
	c := requiredCheck{path: []byte(before)}
	c.message(d, m, nil, nil, 0)
	switch n := len(c.missing); {
	case c.tooDeep:
		return fieldError(cmp.Or(strings.TrimSuffix(before, "."), "request"), fmt.Sprintf("the request nests messages deeper than %d", MaxRequestDepth))
	case n == 0:
		return nil
	case n == 1:
		return fieldError(c.missing[0], c.missing[0]+" is required")
	default:
		return &Error{Code: codes.InvalidArgument, Reason: ReasonInvalidField, Field: c.missing[0], more: c.missing[1:],
			Msg: fmt.Sprintf("%s is required, and so is what else is missing: %s", c.missing[0], strings.Join(c.missing[1:], ", "))}
	}
}

// requiredCheck walks a request.
type requiredCheck struct {
	path    []byte // of the message that is looked at, with a dot behind it
	missing []string
	tooDeep bool
}

// message looks at m, of which s is asked for, and which is an entry of batch unless that
// is nil.
func (c *requiredCheck) message(d *demand, m protoreflect.Message, s *scope, batch protoreflect.Message, depth int) {
	if depth > MaxRequestDepth {
		c.tooDeep = true
		return
	}
	var asked protoreflect.OneofDescriptor // the last of which nothing is set
	for _, f := range d.required {
		if !s.has(f) || m.Has(f) || hoisted(batch, f) || len(c.missing) == maxViolations {
			continue
		}
		if oneof := f.ContainingOneof(); oneof != nil {
			if oneof == asked || m.WhichOneof(oneof) != nil {
				continue
			}
			asked = oneof
		}
		c.missing = append(c.missing, shortenedPath(string(c.path)+string(f.Name())))
	}
	for _, b := range d.below {
		if c.tooDeep || len(c.missing) == maxViolations {
			return
		}
		below := s
		if b.field == d.resource && m.Has(b.field) {
			below = scopeOf(d.maskOf(m, batch))
		} else if s != nil {
			var asked bool
			if below, asked = s.below(b.field, m); !asked {
				continue
			}
		}
		c.field(b, m, below, depth)
	}
}

// maskOf returns the mask of an update, or that of the batch which m is an entry of.
func (d *demand) maskOf(m, batch protoreflect.Message) protoreflect.Message {
	if !m.Has(d.mask) && hoisted(batch, d.mask) {
		m = batch
	}
	return m.Get(m.Descriptor().Fields().ByName(d.mask.Name())).Message()
}

// hoisted reports whether a batch says itself what f of its entries is.
func hoisted(batch protoreflect.Message, f protoreflect.FieldDescriptor) bool {
	if batch == nil {
		return false
	}
	own := batch.Descriptor().Fields().ByName(f.Name())
	return own != nil && own.Kind() == f.Kind() && own.Cardinality() == f.Cardinality() && messageName(own) == messageName(f) && batch.Has(own)
}

// messageName returns the type of the messages that a field holds, and "" where it holds
// none.
func messageName(f protoreflect.FieldDescriptor) protoreflect.FullName {
	if f.Message() == nil {
		return ""
	}
	return f.Message().FullName()
}

// below returns what is asked of the messages of a field, and whether anything is.
func (s *scope) below(f protoreflect.FieldDescriptor, m protoreflect.Message) (*scope, bool) {
	below, named := s.fields[string(f.Name())]
	switch {
	case named && below == nil:
		return nil, true
	case f.IsList() || f.IsMap():
		return nil, s.implied // entries come whole or not at all
	case named:
		return below, true
	case s.implied && m.Has(f):
		return &scope{implied: true}, true
	}
	return nil, false
}

// field looks at the messages of a field of m.
func (c *requiredCheck) field(b demandBelow, m protoreflect.Message, s *scope, depth int) {
	was := len(c.path)
	c.path = append(c.path, b.field.Name()...)
	named := len(c.path)
	var batch protoreflect.Message
	if depth == 0 && b.field.Name() == "requests" {
		batch = m
	}
	entry := func(key string, v protoreflect.Value) {
		c.path = append(append(append(c.path[:named], '['), key...), "]."...)
		c.message(b.demand, v.Message(), nil, batch, depth+1)
	}
	switch {
	case b.field.IsList():
		list := m.Get(b.field).List()
		for i := 0; i < list.Len() && len(c.missing) < maxViolations; i++ {
			entry(strconv.Itoa(i), list.Get(i))
		}
	case b.field.IsMap():
		entries := m.Get(b.field).Map()
		for _, key := range sortedKeys(entries) {
			entry(keyPath(key), entries.Get(key))
		}
	case s != nil && !s.implied || m.Has(b.field):
		c.path = append(c.path, '.')
		c.message(b.demand, m.Get(b.field).Message(), s, nil, depth+1)
	}
	c.path = c.path[:was]
}

// sortedKeys returns the keys of a map in one order, so that the same request gets the
// same answer.
func sortedKeys(entries protoreflect.Map) []protoreflect.MapKey {
	keys := make([]protoreflect.MapKey, 0, entries.Len())
	entries.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k)
		return true
	})
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return cmp.Compare(a.String(), b.String()) })
	return keys
}

func keyPath(k protoreflect.MapKey) string {
	if s, ok := k.Interface().(string); ok {
		return strconv.Quote(shortened(s))
	}
	return k.String()
}

// shortenedPath is what an error names of a long path: its end has the field.
func shortenedPath(path string) string {
	const most = 120
	runes := []rune(path)
	if len(runes) <= most {
		return path
	}
	return "..." + string(runes[len(runes)-most:])
}
