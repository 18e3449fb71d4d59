package httpapi

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
)

// guard refuses requests that a web page has made a browser send: those under a name
// that is not this server's, which is how DNS rebinding reaches loopback, and those
// of pages that are not this server's.
type guard struct {
	hosts   map[string]bool // without ports, in lower case
	anyHost bool
	origins map[string]bool
}

func newGuard(hosts, origins []string) (guard, error) {
	g := guard{hosts: map[string]bool{}, origins: map[string]bool{}}
	for _, host := range hosts {
		name := hostname(strings.ToLower(host))
		switch {
		case host == "*":
			g.anyHost = true
		case name == "" || name != strings.Trim(strings.ToLower(host), "[]"):
			return g, fmt.Errorf("%q is not a host: it is a name or an address, without a port", host)
		}
		g.hosts[name] = true
	}
	for _, origin := range origins {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			return g, fmt.Errorf("%q is not an origin, such as https://console.example.com", origin)
		}
		g.origins[strings.ToLower(origin)] = true
	}
	return g, nil
}

// check refuses a foreign Host and a foreign Origin.
func (g *guard) check(r *http.Request) error {
	if !g.anyHost && !g.isOurs(r.Host) {
		return &fault{code: codes.PermissionDenied, reason: ReasonHostRefused,
			msg: "this server is not asked by this Host; who runs it can allow it"}
	}
	if origins := r.Header["Origin"]; len(origins) > 0 && !g.allowsOrigin(origins, r.Host) {
		return &fault{code: codes.PermissionDenied, reason: ReasonOriginRefused,
			msg: "pages of this Origin may not call this server; who runs it can allow them"}
	}
	return nil
}

func (g *guard) isOurs(host string) bool {
	name := hostname(host)
	if name == "localhost" || isLoopback(name) {
		return true
	}
	name = strings.ToLower(name)
	return g.hosts[name] || name == "localhost" || strings.HasSuffix(name, ".localhost")
}

func isLoopback(name string) bool {
	if name == "" || (name[0] < '0' || name[0] > '9') && !strings.Contains(name, ":") {
		return false
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Unmap().IsLoopback()
}

// allowsOrigin takes the origins that are configured, and our own: that of the Host,
// which has been checked.
func (g *guard) allowsOrigin(origins []string, host string) bool {
	return !slices.ContainsFunc(origins, func(origin string) bool {
		origin = strings.ToLower(origin)
		_, from, _ := strings.Cut(origin, "://")
		return !g.origins[origin] && (from == "" || !strings.EqualFold(from, host))
	})
}

// share lets a page of a configured origin read the reply, and send the request in the
// first place when a browser asks by OPTIONS.
func (g *guard) share(head http.Header, r *http.Request) {
	if len(g.origins) == 0 {
		return
	}
	head.Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); g.origins[strings.ToLower(origin)] {
		head.Set("Access-Control-Allow-Origin", origin)
		head.Set("Access-Control-Expose-Headers", "Retry-After")
		if r.Method == http.MethodOptions {
			head.Set("Access-Control-Allow-Methods", head.Get("Allow"))
			head.Set("Access-Control-Allow-Headers", "Content-Type, Authorization, X-Goog-FieldMask, X-Goog-Api-Client, X-Goog-Request-Params, X-Server-Timeout")
		}
	}
}

// hostname is a Host without its port, and without the brackets of an address.
func hostname(host string) string {
	if end := strings.IndexByte(host, ']'); strings.HasPrefix(host, "[") && end > 0 {
		return host[1:end]
	}
	if strings.Count(host, ":") > 1 {
		return host
	}
	name, _, _ := strings.Cut(host, ":")
	return name
}
