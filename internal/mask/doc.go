// Package mask reads response masks, which say what parts of a reply a caller
// wants, and prunes replies by them. They come as "fields" or "$fields" in a URL,
// or as the header X-Goog-FieldMask:
//
//	m, err := mask.Parse("operations(name,metadata.progress),nextPageToken")
//	...
//	err = m.Validate(reply.ProtoReflect().Descriptor()) // a typo is an error (SYS-10)
//	...
//	reply, err = m.Apply(reply, nil) // nil: no types but those of the program
//
// # The language
//
// A mask is relative to the reply (SYS-07). Two ways to write one mean the same and
// may be mixed: google.protobuf.FieldMask has paths of names with dots between them
// and commas between paths, "error.code,done"; Google's partial responses
// have "a/b" for "a.b" and "a(b,c)" for "a.b,a.c".
//
//	mask    = path *( "," path )
//	path    = segment *( ( "." / "/" ) segment ) [ "(" mask ")" ]
//	segment = "*" / word / "`" text "`"        ; "``" in text is one backtick
//	word    = 1*( letter / digit / "_" / "-" / "@" )
//
// Spaces and tabs around commas and parentheses, and at both ends, mean nothing.
// A field is named as in its .proto file or as in JSON. A key of a map
// or of a google.protobuf.Struct is a segment as it is, in backticks when it has other
// letters (AIP-161), or when it is a number inside an Any or a Struct. Several paths are added up.
//
// "*" is everything (SYS-06): all fields of a message, all elements of a repeated
// field, all entries of a map. More may follow it only where it stands for elements
// or entries, and there it may be left out for elements: "operations.*.name" is
// "operations.name" (SYS-08). An empty mask is everything too.
//
// # What is kept
//
// A field that is named is kept whole with all below it; a field that is passed
// through is kept, if only as an empty message, so that an operation that is done
// still has a response or an error. Elements of repeated fields are pruned, never
// dropped; what a Struct has of another kind than the path goes through is dropped.
//
// Masks reach inside a google.protobuf.Any by its registered type (SYS-12), with
// the names of its JSON form: "@type" is always kept, so "metadata.@type"
// alone leaves nothing else, and a type that JSON writes under "value" is
// named by "value". A message that JSON writes as a string or a number, such as a
// Timestamp, has no parts: it is kept whole or not at all, and inside an Any
// whole. An Any of a type that is not registered, or whose bytes are not of its
// type, is kept whole when anything inside it is asked for (JSN-11, JSN-12).
//
// # Rules
//
// A mask is not a fence: what must not be seen must not be in the reply. Masks are
// for replies that succeed; errors are whole (SYS-11).
//
// Validate refuses what the reply's type does not have, and an index into a
// repeated field (SYS-09). What is inside an Any, a map or a Struct is known only when
// there is a reply: there a path that leads nowhere is ignored. A number without
// backticks is an index there too, since no field has such a name; in backticks it is
// a key. So a mask is refused before anything is done, or not at all.
//
// # Limits
//
// A mask has [MaxBytes], [MaxPaths] and [MaxDepth]. Extension fields cannot be
// named. Unknown fields are in no mask but that of everything above them.
package mask
