package longrun

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Draft is the operation about to be stored, as the Begin hook sees and changes
// it. What StartOptions have set is there already, as copies.
type Draft struct {
	// Target is the resource that the operation works on, Verb what it does to
	// it, and APIVersion the version of the API that was called (OP-25).
	Target, Verb, APIVersion string
	// ConflictKey and OnConflict: see Method.
	ConflictKey string
	OnConflict  ConflictPolicy
	// Labels of the operation, for filters (AIP-148).
	Labels map[string]string
	// Metadata is the first metadata; nil means an empty message of the method's
	// type, and OperationMetadata where it has none. One of another type is refused.
	Metadata proto.Message

	name         Name
	promise      protoreflect.FullName // the type of Metadata; "" for any
	validateOnly bool
	writes       []func(ctx context.Context, tx any) error
}

// Name returns the name that the operation will have.
func (d *Draft) Name() Name { return d.name }

// ValidateOnly reports whether everything is checked and nothing will be stored
// (AIP-163).
func (d *Draft) ValidateOnly() bool { return d.validateOnly }

// Write adds statements to the commit that stores the operation. They run in the
// order in which they were added; an error undoes everything and is the starting
// call's. tx is the store's own type: authors use Write of the store's package,
// which knows it.
func (d *Draft) Write(f func(ctx context.Context, tx any) error) { d.writes = append(d.writes, f) }

// write runs all that was added by Write.
func (d *Draft) write() func(ctx context.Context, tx any) error {
	if len(d.writes) == 0 {
		return nil
	}
	return func(ctx context.Context, tx any) error {
		for _, w := range d.writes {
			if err := w(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	}
}
