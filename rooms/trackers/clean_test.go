package trackers_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"quietroom/rooms/trackers"
	"quietroom/rooms/trackers/plant"
)

const fields = `<form method="post" action="/send"><label>Name <input name="name"></label><label>E-mail <input name="email" type="email"></label><label>Telephone <input name="phone" type="tel"></label>
<label>Date of birth <input name="dob" type="date"></label><label>Clinician <select name="who"><option value="">-</option><option value="1">Dr. Maya Lindqvist</option><option value="2">Dr. Tomas Okafor</option></select></label><label>Reason <textarea name="reason"></textarea></label><button>Send</button></form>`

// clean are sites that tell nobody what was typed: each does something that looks
// as if. OTHER is somebody else's host, and OWN a second host of the site.
var clean = []struct {
	name, page string
	others     bool // somebody else is asked for a file, and that is told
}{
	{"a plain form", fields, false},
	{"own analytics without data", fields + `<script>new Image().src='/matomo.php?idsite=1&rec=1&url='+encodeURIComponent(location.href)+'&action_name='+encodeURIComponent(document.title)</script>`, false},
	{"fonts of others", `<link rel="stylesheet" href="http://OTHER/css?family=Lora&display=swap">` + fields, true},
	{"a library of others", `<script src="http://OTHER/jquery.min.js?ver=3.7.1"></script>` + fields, true},
	{"a picture of others that comes late", fields + `<script>document.querySelector('textarea').addEventListener('focus',()=>{new Image().src='http://OTHER/sofa.jpg?w=400'})</script>`, true},
	{"days asked of the own server", fields + `<script>document.querySelector('[name=dob]').addEventListener('change',(e)=>fetch('/slots?day='+e.target.value))</script>`, false},
	{"checks in the browser", fields + `<script>document.querySelectorAll('input').forEach((i)=>i.addEventListener('input',()=>i.setCustomValidity(i.value.length<3?'short':'')))</script>`, false},
	{"keys counted for a hint", fields + `<output></output><script>document.querySelector('textarea').addEventListener('keyup',(e)=>{document.querySelector('output').textContent=e.target.value.length+' of 500'})</script>`, false},
	{"own heartbeat", fields + `<script>setInterval(()=>fetch('/alive',{method:'POST',body:String(Date.now())}),3000)</script>`, false},
	{"a session's cookie", fields + `<script>document.cookie='session=k3j4h5k3j4h5k3j4;path=/';sessionStorage.setItem('seen','3')</script>`, false},
	{"a theme kept", fields + `<script>localStorage.setItem('theme','calm')</script>`, false},
	{"a map of others in a frame", `<iframe src="http://OTHER/map.html" width="300" height="100"></iframe>` + fields, true},
	{"a question about cookies without trackers", `<div id="cookie-banner">We use cookies that are necessary. <button type="button" onclick="this.parentNode.remove()">Accept all</button> <button type="button" onclick="this.parentNode.remove()">Reject all</button></div>` + fields, false},
	{"a signature drawn", fields + `<canvas id="c" width="200" height="60"></canvas><script>const c=document.querySelector('#c').getContext('2d');c.fillText('Sign here',10,20);document.querySelector('#c').onpointerup=()=>document.querySelector('#c').toDataURL()</script>`, false},
	{"own worker", fields + `<script>new Worker(URL.createObjectURL(new Blob(['onmessage=(e)=>postMessage(e.data.length)']))).postMessage('x')</script>`, false},
	{"a second host of its own", `<link rel="stylesheet" href="http://OWN/own.css"><img src="http://OWN/logo.png" width="20" height="20">` + fields, false},
	{"appointments to press", fields + `<button type="button" class="slot">10:30 am</button><button type="button" class="slot">2:15 pm</button><script>document.querySelectorAll('.slot').forEach((b)=>b.onclick=()=>b.setAttribute('aria-pressed','true'))</script>`, false},
	{"steps", fields + `<button type="button" id="n">Next</button><div id="s" hidden><label>Insurance <input name="insurance"></label></div><script>document.querySelector('#n').onclick=()=>{document.querySelector('#s').hidden=false}</script>`, false},
	{"sent by a script to its own server", fields + `<script>document.forms[0].addEventListener('submit',(e)=>{e.preventDefault();fetch('/send',{method:'POST',body:new FormData(e.target)})})</script>`, false},
	{"a link to others", fields + `<a href="http://OTHER/profile?from=site">Our profile</a><link rel="preconnect" href="http://OTHER/">`, false},
}

// cleanSites serves them, each under a name of its own, and counts what came to others.
func cleanSites(t testing.TB) (address func(i int) string, told func() []string) {
	var mu sync.Mutex
	var got []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, port, _ := net.SplitHostPort(r.Host)
		switch {
		case name == "other.localhost":
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			got = append(got, r.Method+" "+r.URL.String()+" "+string(body))
			mu.Unlock()
			if strings.HasSuffix(r.URL.Path, ".html") {
				fmt.Fprint(w, "<p>a map")
			}
		case r.Method == http.MethodPost && r.URL.Path == "/send":
			t.Errorf("%s got a form", name)
		case r.URL.Path == "/book":
			var i int
			fmt.Sscanf(name, "clean-%d.", &i)
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, "<title>Book an appointment</title>", strings.NewReplacer("OTHER", "other.localhost:"+port, "OWN", "static.clean-"+fmt.Sprint(i)+".localhost:"+port).Replace(clean[i].page))
		case r.URL.Path == "/robots.txt" || r.URL.Path == "/sitemap.xml":
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	return func(i int) string { return fmt.Sprintf("http://clean-%d.localhost:%s/book", i, port) }, func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(got) }
}

// Of twenty sites that tell nobody what was typed, none is said to. A sample of
// them is scanned each time, and all of them where QUIETROOM_SOAK is set.
func TestCleanSitesHaveNoFalseFindings(t *testing.T) {
	needsBrowser(t)
	t.Parallel()
	address, told := cleanSites(t)
	for i, c := range clean {
		if os.Getenv("QUIETROOM_SOAK") == "" && !slices.Contains([]int{1, 4, 18}, i) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			before := len(told())
			r := scan(t, trackers.Options{URL: address(i), Pages: 1})
			if len(r.Pages) != 1 || r.Pages[0].Problem != "" || r.Pages[0].Fields < 6 {
				t.Errorf("not wholly looked at: %+v", r.Pages)
			}
			contacts := 0
			for _, f := range r.Findings {
				if f.Kind == trackers.Contact && f.Severity == trackers.Know && c.others {
					contacts++
					continue
				}
				t.Errorf("%s %s: %s %s %+v", f.Severity, f.Kind, f.Sentence, f.URL, f.Evidence)
			}
			if c.others && (contacts == 0 || len(told()) == before) {
				t.Errorf("%d files of others are told, and %d were asked for", contacts, len(told())-before)
			}
		})
	}
}

// Every planted leak, many times. It takes an hour, and runs where QUIETROOM_SOAK
// says how often.
func TestEveryPlantedLeakIsFoundEveryTime(t *testing.T) {
	needsBrowser(t)
	var times int
	if _, err := fmt.Sscan(os.Getenv("QUIETROOM_SOAK"), &times); err != nil {
		t.Skip("QUIETROOM_SOAK=20 runs it twenty times")
	}
	for n := range times {
		site, err := plant.Serve()
		if err != nil {
			t.Fatal(err)
		}
		r := scan(t, trackers.Options{URL: site.URL, Pages: 14})
		missed := 0
		for _, w := range plant.Planted() {
			if site.Reached(w) == w.Mute || !trackers.Tells(r, w) {
				missed++
				t.Errorf("run %d: %s: received %v, told %v", n+1, w.Name, site.Reached(w), trackers.Tells(r, w))
			}
		}
		t.Logf("run %d: %d of %d, %.0f s, %d MB", n+1, len(plant.Planted())-missed, len(plant.Planted()), float64(r.TookMS)/1000, r.PeakBytes>>20)
		site.Close()
	}
}
