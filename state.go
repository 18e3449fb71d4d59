package longrun

// State is where an operation stands. The zero State is invalid, so that a
// forgotten field is caught instead of read as "pending".
type State uint8

// The states of an operation. Succeeded, Failed and Cancelled are final.
const (
	_         State = iota
	Pending         // accepted; waits for a runner, a retry time or its conflict key
	Running         // claimed by a session
	Succeeded       // done, has a response
	Failed          // done, has an error
	Cancelled       // done, stopped on request; its error has code 1
)

// Done reports whether s is final. A final operation never changes again.
func (s State) Done() bool { return s >= Succeeded }

// Valid reports whether s is one of the five states.
func (s State) Valid() bool { return s >= Pending && s <= Cancelled }

// String returns the state's name on the wire, such as "RUNNING", and
// "STATE_UNSPECIFIED" for a State that is not valid.
func (s State) String() string {
	switch s {
	case Pending:
		return "PENDING"
	case Running:
		return "RUNNING"
	case Succeeded:
		return "SUCCEEDED"
	case Failed:
		return "FAILED"
	case Cancelled:
		return "CANCELLED"
	}
	return "STATE_UNSPECIFIED"
}

// ConflictPolicy says what happens to an operation that is started while
// another one holds its conflict key. The zero policy is Queue, so that a key
// without a policy protects.
type ConflictPolicy uint8

// The policies for a held conflict key.
const (
	Queue   ConflictPolicy = iota // wait for the holder, oldest first
	Reject                        // refuse with ABORTED, store nothing
	Preempt                       // end the waiting ones, stop the running one, then go
)

// Valid reports whether p is one of the three policies.
func (p ConflictPolicy) Valid() bool { return p <= Preempt }

// String returns the policy's name on the wire, such as "QUEUE".
func (p ConflictPolicy) String() string {
	switch p {
	case Queue:
		return "QUEUE"
	case Reject:
		return "REJECT"
	case Preempt:
		return "PREEMPT"
	}
	return "CONFLICT_POLICY_UNSPECIFIED"
}
