package server

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// hosts is a resolver that knows a few names.
func hosts(_ context.Context, host string) ([]netip.Addr, error) {
	known := map[string][]string{
		"localhost": {"127.0.0.1", "::1"},
		"local":     {"127.0.1.1"},
		"mixed":     {"127.0.0.1", "192.0.2.1"},
		"elsewhere": {"192.0.2.1"},
		"mapped":    {"::ffff:127.0.0.1"},
		"nowhere":   {},
	}
	ips, ok := known[host]
	if !ok {
		return nil, errors.New("no such host")
	}
	var out []netip.Addr
	for _, ip := range ips {
		out = append(out, netip.MustParseAddr(ip))
	}
	return out, nil
}

func TestCheckLoopback(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		addr string
		want string // part of the message; "" means allowed
	}{
		{"127.0.0.1:9151", ""},
		{"127.9.9.9:9151", ""},
		{"127.0.0.1:0", ""},
		{"[::1]:9151", ""},
		{"[::ffff:127.0.0.1]:9151", ""},
		{"localhost:9151", ""},
		{"local:9151", ""},
		{"mapped:9151", ""},

		{":9151", "every address of this machine"},
		{":0", "every address of this machine"},
		{"[]:9151", "every address of this machine"},
		{"0.0.0.0:9151", "not a loopback address"},
		{"[::]:9151", "not a loopback address"},
		{"[::ffff:0.0.0.0]:9151", "not a loopback address"},
		{"192.0.2.1:9151", "not a loopback address"},
		{"10.0.0.1:9151", "not a loopback address"},
		{"[fe80::1%eth0]:9151", "not a loopback address"},
		{"elsewhere:9151", "192.0.2.1, not a loopback address"},
		{"mixed:9151", "192.0.2.1, not a loopback address"},
		{"nowhere:9151", "cannot be resolved"},
		{"unknown:9151", "cannot be resolved"},
		{"0:9151", "cannot be resolved"},     // 0.0.0.0 to some resolvers
		{"127.1:9151", "cannot be resolved"}, // 127.0.0.1 to some, 0.0.0.127 to none
		{"2130706433:9151", "cannot be resolved"},
		{"", "is not an address"},
		{"127.0.0.1", "is not an address"},
		{"::1:9151", "is not an address"},
	} {
		err := checkLoopback(t.Context(), tt.addr, hosts)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("CheckLoopback(%q) = %v, want nil", tt.addr, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("CheckLoopback(%q) = %v, want %q", tt.addr, err, tt.want)
		}
		if p, ok := errors.AsType[*Problem](err); err != nil && (!ok || p.Hint == "") {
			t.Errorf("CheckLoopback(%q): %v has no hint", tt.addr, err)
		}
	}
}

func FuzzCheckLoopback(f *testing.F) {
	for _, s := range []string{"127.0.0.1:1", "[::1]:1", ":1", "localhost:1", "[fe80::1%lo]:1", "0x7f.1:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, addr string) {
		if checkLoopback(t.Context(), addr, hosts) != nil {
			return
		}
		// What is allowed is bound to loopback, by whatever net makes of the host.
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatalf("%q was allowed and has no host: %v", addr, err)
		}
		if ip := net.ParseIP(host); ip != nil && !ip.IsLoopback() {
			t.Errorf("%q was allowed; %v is not loopback", addr, ip)
		}
	})
}

func TestListen_Remote(t *testing.T) {
	t.Parallel()
	l, err := listen(t.Context(), "--grpc", "0.0.0.0:0", Off)
	if err == nil {
		l.Close()
		t.Fatal("0.0.0.0 was listened on without Remote")
	}
	l, err = listen(t.Context(), "--grpc", "0.0.0.0:0", On)
	if err != nil {
		t.Fatalf("listen with Remote: %v", err)
	}
	l.Close()
}
