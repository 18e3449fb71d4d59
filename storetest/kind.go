package storetest

import (
	"errors"

	"github.com/longrun-dev/longrun"
)

// kind names what code may branch on in err: a sentinel, or the code of an
// *Error. It is "" for nil, and the text of any other error.
func kind(err error) string {
	for name, sentinel := range map[string]error{
		"ErrExists":      longrun.ErrExists,
		"ErrSessionLost": longrun.ErrSessionLost,
		"ErrClaimLost":   longrun.ErrClaimLost,
		"ErrUnknown":     longrun.ErrUnknown,
	} {
		if errors.Is(err, sentinel) {
			return name
		}
	}
	if e, ok := errors.AsType[*longrun.Error](err); ok {
		return e.Code.String()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}
