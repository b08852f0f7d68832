package mail

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/mail/smtp"
)

func (m *Mail) mount(x *web.Mux) {
	x.Foot(web.NavItem{Text: "Mail", Path: "/mail", Owner: true})
	x.Handle("GET /mail", m.show, web.Owner)
	x.Handle("GET /mail/server", m.showServer, web.Owner)
	x.Handle("POST /mail/server", m.setServer, web.Owner)
	x.Handle("GET /mail/test", m.showTest, web.Owner)
	x.Handle("POST /mail/test", m.confirm, web.Owner)
	x.Handle("GET /mail/agreement", m.showAgreement, web.Owner)
	x.Handle("POST /mail/agreement", m.setAgreement, web.Owner)
	x.Handle("POST /mail/now", m.now, web.Owner)
	x.Handle("POST /mail/stop", m.stopSending, web.Owner)
	x.Handle("POST /mail/letters/{letter}/seen", m.read, web.Owner)
}

// mailPage is what mail.html gets.
type mailPage struct {
	Sending  layer.Evidence
	Set      bool
	Server   standing
	Way      string
	Agreed   layer.Evidence
	Failed   []row
	Waiting  []row
	Sent     []row
	Tally    tally
	Proposed bool
}

const shown = 20

func (m *Mail) show(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	p := mailPage{}
	for e, err := range m.evidence(ctx) {
		if err != nil {
			return err
		}
		switch e = e.At(m.Now()); e.Claim {
		case "mail.sending":
			p.Sending = e
		case "mail.agreement":
			p.Agreed = e
		}
	}
	var err error
	p.Server, err = m.server(ctx)
	p.Set = err == nil
	p.Way = ways[p.Server.Security]
	_, _, err = m.proposal(ctx)
	p.Proposed = err == nil
	if p.Tally, err = m.tally(ctx); err != nil {
		return err
	}
	for where, list := range map[string]*[]row{"state = 'waiting'": &p.Waiting, "state = 'sent'": &p.Sent, "state IN ('refused', 'dropped') AND seen = 0": &p.Failed} {
		if *list, err = m.rows(ctx, where, shown); err != nil {
			return err
		}
		m.inWords(ctx, *list)
	}
	return m.pages.Show(w, r, "mail", web.View{Title: "Mail", Data: p})
}

// inWords puts names and sentences to rows.
func (m *Mail) inWords(ctx context.Context, rows []row) {
	for i := range rows {
		r := &rows[i]
		if r.Who = "Somebody who has not joined yet"; r.person != "" {
			if r.Who = m.Name(ctx, r.person); r.Who == "" {
				r.Who = "Somebody who has left"
			}
		}
		switch r.State {
		case "refused":
			r.Text = "The mail server refused it for good."
			if r.code != "" {
				r.Text = "The mail server refused it for good: " + meaning(r.code) + "."
			}
		case "dropped":
			r.Text = "It waited for five days, and was dropped."
		case "waiting":
			switch {
			case r.lane == "":
				r.Text = "No mail address is known; it waits for one."
			case r.code != "":
				r.Text = "The mail server said: not now (" + r.code + ")."
			}
		}
	}
}

// meaning says the commonest answers in words (RFC 3463).
func meaning(code string) string {
	_, status, _ := strings.Cut(code, " ")
	words := map[string]string{"5.1.1": "there is no such address", "5.1.2": "there is no such domain", "5.1.3": "this is no address", "5.1.10": "there is no such address", "5.2.1": "this mailbox is switched off",
		"5.2.2": "this mailbox is full", "5.3.4": "the message is too big", "5.4.1": "the address was not accepted", "5.7.1": "a rule of the server is against it", "5.7.60": "the sender’s address may not be used"}
	if said, ok := words[status]; ok {
		return said + " (" + code + ")"
	}
	return "it says " + code
}

var ways = map[smtp.Security]string{smtp.StartTLS: "TLS that begins with STARTTLS", smtp.TLS: "TLS from the first byte", smtp.Plain: "none: it is this machine"}

// serverPage is what server.html gets.
type serverPage struct {
	settings
	Stored bool // there is a password that need not be typed again
	Set    bool
	Fault  string
}

func (m *Mail) showServer(w http.ResponseWriter, r *http.Request) error {
	s, _, err := m.proposal(r.Context())
	if err != nil {
		var now standing
		now, err = m.server(r.Context())
		s = now.settings
	}
	if err != nil { // nothing, or nothing that can be read: begin anew
		s = settings{Port: 587, Security: smtp.StartTLS}
	}
	return m.serverForm(w, r, s, nil)
}

// serverForm shows the form as it was filled in, with what is wrong about it.
func (m *Mail) serverForm(w http.ResponseWriter, r *http.Request, s settings, fault *web.Error) error {
	v := web.View{Title: "Mail server"}
	p := serverPage{settings: s, Stored: m.knownPassword(r.Context(), s) != ""}
	p.Password = "" // it is not shown to anybody
	_, err := m.server(r.Context())
	p.Set = err == nil
	if mine, err := m.addresses(r.Context(), id.From(r.Context()).Person); err == nil && len(mine) > 0 && p.Test == "" {
		p.Test = mine[0]
	}
	if fault != nil {
		p.Fault, v.Status = fault.Text+" "+fault.Fix, fault.Status
	}
	v.Data = p
	return m.pages.Show(w, r, "server", v)
}

// wrong is a form that cannot be taken as it is.
func wrong(text, fix string) error {
	return &web.Error{Status: http.StatusUnprocessableEntity, Text: text, Fix: fix, Back: "/mail/server"}
}

// typed reads the form, as far as it can be read.
func typed(r *http.Request) (s settings, err error) {
	field := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	s = settings{Host: strings.ToLower(strings.TrimSuffix(field("host"), ".")), Security: smtp.Security(field("security")), Sender: field("sender"), User: field("user"), Password: r.PostFormValue("password"), Test: field("test")}
	if s.Port, err = strconv.Atoi(field("port")); err != nil || s.Port < 1 || s.Port > 65535 {
		return s, wrong("The port is a number from 1 to 65535.", "It is usually 587 or 465.")
	}
	if pace := field("pace"); pace != "" {
		if s.Pace, err = strconv.Atoi(pace); err != nil || s.Pace < 1 || s.Pace > 100_000 {
			return s, wrong("How many messages a minute has to be a number above 0.", "Leave it empty for no limit.")
		}
	}
	switch {
	case s.Host == "" || len(s.Host) > 253 || strings.ContainsFunc(s.Host, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == ':')
	}):
		return s, wrong("This is not the name of a mail server.", "It looks like smtp.example.org, without spaces or slashes.")
	case !slices.Contains([]smtp.Security{smtp.StartTLS, smtp.TLS, smtp.Plain}, s.Security):
		return s, wrong("Choose how the way to the server is encrypted.", "Your provider says which of the two it is.")
	case s.Security == smtp.Plain && !smtp.LocalOnly(s.Host):
		return s, wrong("Without encryption mail only goes to this machine itself.", "Choose one of the two kinds of TLS.")
	case smtp.Check(s.Sender) != nil:
		return s, wrong("The sender’s address is not a mail address.", "It looks like notices@example.org.")
	case smtp.Check(s.Test) != nil:
		return s, wrong("The address for the test message is not a mail address.", "Use one whose mail you can read now.")
	case !oneLine(s.User) || !oneLine(s.Password) || len(s.User)+len(s.Password) > 4096:
		return s, wrong("User and password have to be one line each.", "Type them again.")
	}
	return s, nil
}

func (m *Mail) setServer(w http.ResponseWriter, r *http.Request) error {
	s, err := typed(r)
	if fault, ok := errors.AsType[*web.Error](err); ok {
		return m.serverForm(w, r, s, fault)
	}
	if s.Password == "" && s.User != "" {
		s.Password = m.knownPassword(r.Context(), s)
	}
	if s.User == "" {
		s.Password = ""
	}
	if err := m.try(r.Context(), s); err != nil {
		if fault, ok := errors.AsType[*web.Error](notSent(err)); ok {
			return m.serverForm(w, r, s, fault)
		}
		return err
	}
	return web.SeeOther(w, r, "/mail/test")
}

// knownPassword is the one that was typed before for the same user of the same
// server. It never goes to another one.
func (m *Mail) knownPassword(ctx context.Context, s settings) string {
	if was, _, err := m.proposal(ctx); err == nil && was.Host == s.Host && was.User == s.User && was.Password != "" {
		return was.Password
	}
	if was, err := m.server(ctx); err == nil && was.Host == s.Host && was.User == s.User {
		return was.Password
	}
	return ""
}

var errNothingToTest = &web.Error{Status: http.StatusConflict, Text: "There is no test message to confirm; after an hour, or five wrong numbers, one is made anew.", Fix: "Send another test message.", Back: "/mail/server"}

func (m *Mail) showTest(w http.ResponseWriter, r *http.Request) error {
	s, _, err := m.proposal(r.Context())
	if errors.Is(err, errNoProposal) || err == nil && s.Number == "" {
		return errNothingToTest
	}
	if err != nil {
		return err
	}
	return m.pages.Show(w, r, "test", web.View{Title: "Test message", Data: s.Test})
}

func (m *Mail) confirm(w http.ResponseWriter, r *http.Request) error {
	err := m.accept(r.Context(), strings.TrimSpace(r.PostFormValue("number")))
	switch {
	case errors.Is(err, errNumber):
		return &web.Error{Status: http.StatusUnprocessableEntity, Text: "That is not the number in the test message.", Fix: "Look at the newest test message; it has six digits.", Back: "/mail/test"}
	case errors.Is(err, errNoProposal):
		return errNothingToTest
	case err != nil:
		return err
	}
	return web.SeeOther(w, r, "/mail")
}

// agreementPage is what agreement.html gets.
type agreementPage struct {
	agreement
	Host, By string
	Stated   bool
	Today    string
}

var errSetUpFirst = &web.Error{Status: http.StatusConflict, Text: "Mail is not set up yet.", Fix: "Set up the mail server first.", Back: "/mail/server"}

func (m *Mail) showAgreement(w http.ResponseWriter, r *http.Request) error {
	s, err := m.server(r.Context())
	if errors.Is(err, errNoServer) {
		return errSetUpFirst
	}
	if err != nil {
		return err
	}
	p := agreementPage{Host: s.Host, Today: m.Now().Format(time.DateOnly)}
	if p.agreement, p.Stated, err = m.agreed(r.Context(), s.Host); err != nil {
		return err
	}
	if !p.Stated {
		p.agreement = agreement{}
	} else {
		p.By = m.Name(r.Context(), p.agreement.By)
	}
	return m.pages.Show(w, r, "agreement", web.View{Title: "Agreement about mail", Data: p})
}

func (m *Mail) setAgreement(w http.ResponseWriter, r *http.Request) error {
	s, err := m.server(r.Context())
	if errors.Is(err, errNoServer) {
		return errSetUpFirst
	}
	if err != nil {
		return err
	}
	field := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	a := agreement{Host: s.Host, With: field("with"), Contact: field("contact"), Date: field("date"), Because: field("because")}
	refuse := func(text, fix string) error {
		return &web.Error{Status: http.StatusUnprocessableEntity, Text: text, Fix: fix, Back: "/mail/agreement"}
	}
	day, err := time.Parse(time.DateOnly, a.Date)
	switch {
	case a.With == "":
		return refuse("Please say with whom.", "It is the company that carries your mail.")
	case a.Because == "" && (err != nil || day.After(m.Now().Add(24*time.Hour))):
		return refuse("Please say of which day the agreement is.", "It looks like 2026-11-25, and is not in the future. Where none is needed, say why instead.")
	case a.Because == "" && a.Contact == "":
		return refuse("Please say whom to call there.", "A name, with a phone number or an address, for the day something happens.")
	case len(a.With)+len(a.Contact)+len(a.Because) > 2000:
		return refuse("That is too long to be kept.", "A line each is enough.")
	}
	if err := m.agree(r.Context(), a); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/mail")
}

func (m *Mail) now(w http.ResponseWriter, r *http.Request) error {
	if err := m.soon(r.Context()); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/mail")
}

func (m *Mail) stopSending(w http.ResponseWriter, r *http.Request) error {
	if err := m.stop(r.Context()); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/mail")
}

func (m *Mail) read(w http.ResponseWriter, r *http.Request) error {
	number := r.PathValue("letter")
	if id.Check(number) != nil {
		return &web.Error{Status: http.StatusNotFound, Text: "There is no such notice.", Back: "/mail"}
	}
	if err := m.seen(r.Context(), number); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/mail")
}
