// Package filter is the filter language of AIP-160 over protobuf messages: one
// line of text that says which of many messages are meant.
//
//	schema, err := filter.NewSchema((&longrunningpb.Operation{}).ProtoReflect().Descriptor(), filter.Options{})
//	if err != nil {
//		return err
//	}
//	f, err := schema.Compile(`done=true AND error.code = 9`)
//	if err != nil {
//		return err // what is wrong, and where
//	}
//	ok, err := f.Match(op)
//
// # The language
//
// A restriction is a field, a comparator and a value. Fields are spelled as in
// the proto and joined with dots; strings may be quoted, with either quote.
//
//	done = true
//	error.code != 9
//	metadata.create_time > "2026-01-01T00:00:00Z"
//	name = "projects/p/*"                         prefix, suffix ("*x") or part ("*x*")
//	metadata.@type = "type.googleapis.com/longrun.v1.OperationMetadata"
//
// The has operator asks what there is:
//
//	error:*                       the message is there
//	metadata.labels:env           the map has the key
//	metadata.labels.env:prod      and this value under it
//	error.details.reason:QUOTA    some element of a repeated field
//
// Restrictions are joined by AND, by OR and by mere blanks, and negated by NOT or
// "-". OR binds tighter than AND, unlike in most languages:
//
//	done=true AND error:* OR done=false     is     done=true AND (error:* OR done=false)
//
// A value alone, without a field, is looked for as a part of the texts that
// Options.Text names. docs/filter.md has the language in full.
//
// # Rules
//
//   - A filter is checked against the schema before any message is read: a
//     filter that compiles never fails on data (AIP-160 "schematic validation").
//   - A step of a path that is not set makes the restriction false, whatever its
//     comparator; NOT of it is then true.
//   - The payload of an Any is looked into by its registered type. One of another
//     type, or that cannot be decoded, counts as not set.
//
// # Limits
//
// MaxBytes, MaxTerms and MaxDepth bound what is read at all, so that no filter
// costs more than microseconds to refuse.
package filter
