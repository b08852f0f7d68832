package mail_test

import (
	"context"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"quietroom/ground/web"
	"quietroom/ground/web/webtest"
	"quietroom/layer"
	"quietroom/rooms/mail"
	"quietroom/rooms/mail/smtp"
)

func filled(s mail.Settings, more ...string) url.Values {
	v := url.Values{"host": {s.Host}, "port": {strconv.Itoa(s.Port)}, "security": {string(s.Security)}, "sender": {s.Sender}, "test": {"jo@practice.example"}}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

var sixDigits = regexp.MustCompile(`number is (\d{6})\.`)

func TestAServerIsUsedOnlyOnceItsTestMessageArrived(t *testing.T) {
	p := newPostfix(t)
	h := newHouse(t)
	h.Config.Roots = p.roots
	s := mail.Settings{Host: "localhost", Port: p.port["starttls"], Security: smtp.StartTLS, Sender: "notices@practice.example"}
	code, to, page := h.post("owner", "/mail/server", "/mail/server", filled(s))
	if code != 303 || to != "/mail/test" {
		t.Fatalf("the form answers %d %s:\n%s", code, to, page)
	}
	h.told(h.jo)
	h.deliver()
	if got := h.states(); got["waiting"] != 2 {
		t.Errorf("a server that nobody confirmed is used: %v", got)
	}
	message := p.mail(1)[0]
	body := make([]byte, 4096)
	n, _ := message.Body.Read(body)
	found := sixDigits.FindStringSubmatch(strings.ReplaceAll(string(body[:n]), "=\r\n", ""))
	if found == nil {
		t.Fatalf("the test message has no number:\n%s", body[:n])
	}
	wrong := "000000"
	if found[1] == wrong {
		wrong = "000001"
	}
	if code, _, page := h.post("owner", "/mail/test", "/mail/test", url.Values{"number": {wrong}}); code != 422 || !strings.Contains(page, "not the number") {
		t.Errorf("a wrong number answers %d:\n%s", code, page)
	}
	if code, to, _ := h.post("owner", "/mail/test", "/mail/test", url.Values{"number": {found[1]}}); code != 303 || to != "/mail" {
		t.Errorf("the right number answers %d %s", code, to)
	}
	if got := h.facts(""); !strings.Contains(strings.Join(got, " "), "mail.server-set") {
		t.Errorf("the ledger tells %q", got)
	}
	h.deliver()
	p.mail(3)
}

func TestANumberCannotBeGuessed(t *testing.T) {
	s := newScripted(t, func(c *talk) { c.serve() })
	h := newHouse(t)
	if code, _, page := h.post("owner", "/mail/server", "/mail/server", filled(s.settings())); code != 303 {
		t.Fatalf("the form answers %d:\n%s", code, page)
	}
	for range 5 {
		h.post("owner", "/mail/test", "/mail/test", url.Values{"number": {"x"}})
	}
	code, _, page := h.post("owner", "/mail/server", "/mail/test", url.Values{"number": {"x"}})
	if code != 409 || !strings.Contains(page, "Send another test message") {
		t.Errorf("after five wrong numbers it answers %d:\n%s", code, page)
	}
}

func TestAFormThatCannotBeTakenSaysWhyAndKeepsWhatWasTyped(t *testing.T) {
	p := newPostfix(t)
	h := newHouse(t)
	good := mail.Settings{Host: "localhost", Port: p.port["none"], Security: smtp.StartTLS, Sender: "notices@practice.example"}
	for title, c := range map[string]struct {
		change []string
		want   string
	}{
		"no such port":               {[]string{"port", "0"}, "from 1 to 65535"},
		"no name":                    {[]string{"host", "https://mail"}, "not the name of a mail server"},
		"no encryption elsewhere":    {[]string{"security", "plain", "host", "mail.practice.example"}, "only goes to this machine"},
		"a sender that is none":      {[]string{"sender", "notices"}, "not a mail address"},
		"two lines":                  {[]string{"user", "a\r\nb"}, "one line each"},
		"a pace that is none":        {[]string{"pace", "fast"}, "number above 0"},
		"a server without TLS":       {nil, "offers no encryption"},
		"a server that is not on":    {[]string{"port", strconv.Itoa(freePort(t))}, "does not answer"},
		"another name’s certificate": {[]string{"port", strconv.Itoa(p.port["other-name"])}, "certificate is not one for this name"},
	} {
		t.Run(title, func(t *testing.T) {
			code, _, page := h.post("owner", "/mail/server", "/mail/server", filled(good, append(c.change, "password", "hunter-secret")...))
			if code != 422 || !strings.Contains(page, c.want) || !strings.Contains(page, `role="alert"`) {
				t.Errorf("it answers %d, and does not say %q:\n%s", code, c.want, page)
			}
			if strings.Contains(page, "hunter-secret") {
				t.Error("the page shows the password")
			}
			if !strings.Contains(page, "jo@practice.example") {
				t.Error("what was typed is gone")
			}
		})
	}
	if log := h.log.String(); strings.Contains(log, "practice.example") || strings.Contains(log, "hunter") {
		t.Errorf("the log tells what was typed:\n%s", log)
	}
}

func TestAStoredPasswordGoesToNoOtherServer(t *testing.T) {
	heard := make(chan string, 20)
	s := newScripted(t, func(c *talk) {
		c.say("220 scripted")
		for {
			line, ok := c.hear()
			if !ok {
				return
			}
			heard <- line
			if strings.HasPrefix(line, "EHLO") {
				c.say("250-here")
				c.say("250 AUTH PLAIN")
				continue
			}
			c.say("535 5.7.8 no")
		}
	})
	h := newHouse(t)
	set := s.settings()
	set.User, set.Password, set.Host = "u", "p", "localhost"
	h.uses(set)
	other := s.settings() // 127.0.0.1: another name
	h.post("owner", "/mail/server", "/mail/server", filled(other, "user", "u"))
	close(heard)
	for line := range heard {
		if strings.HasPrefix(line, "AUTH PLAIN") && line != "AUTH PLAIN AHUA" { // no password after it
			t.Errorf("another server is told the password: %s", line)
		}
	}
}

func TestOnlyAnOwnerSeesMail(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{"/mail", "/mail/server", "/mail/test", "/mail/agreement"} {
		if code, page := h.get("clinician", path); code != 403 || strings.Contains(page, "practice.example") {
			t.Errorf("%s answers %d to somebody who is no owner", path, code)
		}
	}
}

func TestAnAgreementIsAPersonsWordAboutOneServer(t *testing.T) {
	h := newHouse(t)
	set := mail.Settings{Host: "localhost", Port: 1, Security: smtp.Plain, Sender: "notices@practice.example"}
	h.uses(set)
	if e := h.says("mail.agreement"); e.State != layer.Off || !strings.Contains(e.Text, "Mail about patients is off") {
		t.Errorf("it says %s: %s", e.State, e.Text)
	}
	for _, v := range []url.Values{
		{"with": {""}, "date": {"2026-05-01"}, "contact": {"x"}}, {"with": {"Mailhouse"}, "date": {"soon"}, "contact": {"x"}},
		{"with": {"Mailhouse"}, "date": {"2027-05-01"}, "contact": {"x"}}, {"with": {"Mailhouse"}, "date": {"2026-05-01"}},
	} {
		if code, _, _ := h.post("owner", "/mail/agreement", "/mail/agreement", v); code != 422 {
			t.Errorf("%v answers %d, want 422", v, code)
		}
	}
	if code, _, page := h.post("owner", "/mail/agreement", "/mail/agreement", url.Values{"with": {"Mailhouse"}, "date": {"2026-05-01"}, "contact": {"Kit, 555 0100"}}); code != 303 {
		t.Fatalf("it answers %d:\n%s", code, page)
	}
	if e := h.says("mail.agreement"); e.State != layer.YourWord || !strings.Contains(e.Text, "Mailhouse, of 2026-05-01") {
		t.Errorf("it says %s: %s", e.State, e.Text)
	}
	set.Host = "127.0.0.1"
	h.uses(set)
	if e := h.says("mail.agreement"); e.State != layer.Off {
		t.Errorf("another server has an agreement that nobody made: %s", e.Text)
	}
}

// pictures is where the tests leave screenshots for a person to look at, if set.
var pictures = os.Getenv("QUIETROOM_PICTURES")

func TestMailLooksRightInABrowser(t *testing.T) {
	tab := webtest.Browser(t)
	s := newScripted(t, func(c *talk) { c.serve() })
	h := newHouse(t)
	url := webtest.Serve(t, h.mux)
	signIn(t, tab, url)
	tab.EveryWay(url+"/mail", "mail-new", pictures)
	tab.EveryWay(url+"/mail/server", "mail-server", pictures)

	set := s.settings()
	tab.Type("#host", set.Host)
	tab.Type("#port", "")
	chromedp.Do(tab.Context(), chromedp.SetValue("#port", strconv.Itoa(set.Port)), chromedp.SetValue("#security", "plain"), chromedp.SetValue("#sender", set.Sender), chromedp.SetValue("#test", "nobody"))
	webtest.Eval[bool](tab, `document.querySelector("form[action='/mail/server']").noValidate = true`)
	tab.Click("main form button.first")
	if got := tab.See("[role=alert]"); !strings.Contains(got, "test message is not a mail address") {
		t.Errorf("the page says %q", got)
	}
	tab.Axe()
	chromedp.Do(tab.Context(), chromedp.SetValue("#test", "jo@practice.example"))
	tab.Click("main form button.first")
	tab.Arrive("/mail/test")
	tab.EveryWay(url+"/mail/test", "mail-test", pictures)

	h.uses(set)
	for range 3 {
		h.told(h.jo)
	}
	h.deliver()
	tab.EveryWay(url+"/mail", "mail-sent", pictures)
	h.told(h.al)
	h.deliver()
	if code, _, page := h.post("owner", "/mail/agreement", "/mail/agreement", map[string][]string{"with": {"Mailhouse"}, "date": {"2026-05-01"}, "contact": {"Kit, 555 0100"}}); code != 303 {
		t.Fatal(page)
	}
	h.refuses()
	tab.EveryWay(url+"/mail", "mail-refused", pictures)
	tab.EveryWay(url+"/mail/agreement", "mail-agreement", pictures)
}

// refuses has one notice refused, and the server gone after it.
func (h *house) refuses() {
	h.t.Helper()
	first := true
	s := newScripted(h.t, func(c *talk) {
		if !first {
			c.say("421 4.3.2 closing")
			return
		}
		first = false
		c.greet()
		for {
			line, ok := c.hear()
			switch {
			case !ok:
				return
			case strings.HasPrefix(line, "RCPT"):
				c.say("550 5.1.1 no such user")
			default:
				c.say("250 ok")
			}
		}
	})
	h.uses(s.settings())
	h.people[h.jo] = h.people[h.jo][:1]
	h.told(h.jo)
	h.deliver()
	h.told(h.jo)
	h.deliver()
}

// signIn gives the tab the cookie of a session, as identity would.
func signIn(t *testing.T, tab *webtest.Tab, url string) {
	t.Helper()
	err := chromedp.Do(tab.Context(), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{
			URL: url, Name: web.SessionCookie, Value: "owner", Path: "/", Secure: new(true), HTTPOnly: new(true), SameSite: network.CookieSameSiteStrict,
		})
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
}
