package longrun

// A signal says "look again" to one who may not be listening.
type signal struct{ c chan struct{} }

func (s *signal) raise() {
	select {
	case s.c <- struct{}{}:
	default:
	}
}

// onMethods subscribes to hints that there may be work; on no method means all.
func (h *hub) onMethods(methods []string) (<-chan struct{}, func()) {
	s := &signal{c: make(chan struct{}, 1)}
	if len(methods) == 0 {
		methods = []string{""}
	}
	return s.c, subscribe(h, h.methods, s, methods)
}

// onSession subscribes to hints that a claim of the session should hear something.
func (h *hub) onSession(id SessionID) (<-chan struct{}, func()) {
	s := &signal{c: make(chan struct{}, 1)}
	return s.c, subscribe(h, h.sessions, s, []SessionID{id})
}

func subscribe[K comparable](h *hub, to map[K]map[*signal]struct{}, s *signal, keys []K) (stop func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.startLocked()
	for _, k := range keys {
		if to[k] == nil {
			to[k] = map[*signal]struct{}{}
		}
		to[k][s] = struct{}{}
	}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, k := range keys {
			if delete(to[k], s); len(to[k]) == 0 {
				delete(to, k)
			}
		}
	}
}

func (h *hub) ready(methods ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range methods {
		h.readyLocked(m)
	}
}

func (h *hub) readyLocked(method string) {
	for s := range h.methods[method] {
		s.raise()
	}
	for s := range h.methods[""] {
		s.raise()
	}
}

func raiseAll[K comparable](sets map[K]map[*signal]struct{}) {
	for _, set := range sets {
		for s := range set {
			s.raise()
		}
	}
}
