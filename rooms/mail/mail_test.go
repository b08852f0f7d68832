package mail_test

import (
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	netmail "net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
	"quietroom/layer"
	"quietroom/rooms/mail"
	"quietroom/rooms/mail/smtp"
)

func TestANoticeReachesBothAddressesOfAPerson(t *testing.T) {
	p := newPostfix(t)
	for how, security := range map[string]smtp.Security{"starttls": smtp.StartTLS, "tls": smtp.TLS} {
		t.Run(how, func(t *testing.T) {
			before := len(p.mail(0))
			h := newHouse(t)
			h.sends(p, how, security)
			h.told(h.jo)
			if !h.Woken() {
				t.Error("the queue is not looked at before its time")
			}
			h.deliver()
			arrived := p.mail(before + 2)
			var to []string
			ids := map[string]bool{}
			for _, m := range arrived {
				to = append(to, m.Header.Get("Delivered-To"))
				ids[m.Header.Get("Message-ID")] = true
				whole(t, m)
			}
			for _, want := range []string{"jo@practice.example", "jo.at.home@elsewhere.example"} {
				if !slices.Contains(to, want) {
					t.Errorf("nothing came to %s: %q", want, to)
				}
			}
			if len(ids) != len(arrived) {
				t.Errorf("%d messages have %d Message-IDs", len(arrived), len(ids))
			}
			if got := h.states(); got["sent"] != 2 || len(got) != 1 {
				t.Errorf("the queue holds %v, want 2 sent", got)
			}
			if e := h.says("mail.sending"); e.State != layer.Safe || !strings.Contains(e.Text, "localhost") {
				t.Errorf("sending is said to be %s: %s", e.State, e.Text)
			}
			if e := h.says("mail.queue"); e.State != layer.Safe || !strings.Contains(e.Text, "2 notices left") {
				t.Errorf("the queue is said to be %s: %s", e.State, e.Text)
			}
			if got := h.facts(string(h.jo)); !slices.Equal(got, []string{"mail.sent", "mail.sent"}) {
				t.Errorf("the ledger tells %q", got)
			}
		})
	}
}

// whole checks one message as another program reads it.
func whole(t *testing.T, m *netmail.Message) {
	t.Helper()
	from, err := m.Header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Address != "notices@practice.example" {
		t.Errorf("it is from %v, %v", from, err)
	}
	if to, err := m.Header.AddressList("To"); err != nil || len(to) != 1 {
		t.Errorf("it names %v, %v: nobody learns who else was told", to, err)
	}
	if when, err := m.Header.Date(); err != nil || !when.Equal(start) {
		t.Errorf("it is of %v, %v, want when it was queued, %v", when, err, start)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != notice.Subject {
		t.Errorf("its subject is %q, %v", subject, err)
	}
	if got := m.Header.Get("Auto-Submitted"); got != "auto-generated" {
		t.Errorf("Auto-Submitted is %q: a holiday answer comes back", got)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"“Jo’s phone”", "https://vault.practice.example/doors\r\n", "never asks for a code"} {
		if !strings.Contains(strings.ReplaceAll(string(body), "\n", "\r\n"), want) && !strings.Contains(string(body), want) {
			t.Errorf("it does not say %q:\n%s", want, body)
		}
	}
	if strings.Contains(strings.ToLower(string(body)), "<img") || m.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Error("it is more than plain text")
	}
}

func TestWhatIsNotKeptIsNotToldOf(t *testing.T) {
	h := newHouse(t)
	broken := errors.New("the act failed")
	err := h.db.Update(t.Context(), func(tx *store.Tx) error {
		n := notice
		n.To = h.jo
		if err := h.Notify(t.Context(), tx, n); err != nil {
			t.Fatal(err)
		}
		return broken
	})
	if !errors.Is(err, broken) || len(h.states()) != 0 || h.Woken() {
		t.Errorf("a notice of what did not happen is queued: %v, %v", h.states(), err)
	}
}

func TestMailWaitsForAServerThatIsDownAndLosesNothing(t *testing.T) {
	p := newPostfix(t)
	p.stop()
	h := newHouse(t)
	h.sends(p, "starttls", smtp.StartTLS)
	h.told(h.jo)
	h.deliver()
	if got := h.states(); got["waiting"] != 2 {
		t.Fatalf("the queue holds %v, want 2 waiting", got)
	}
	if e := h.says("mail.sending"); e.State != layer.Checking || !strings.Contains(e.Text, "does not answer") {
		t.Errorf("a minute later it says %s: %s", e.State, e.Text)
	}
	h.now = h.now.Add(2 * time.Hour)
	h.deliver()
	if e := h.says("mail.sending"); e.State != layer.NeedsYou || e.Minutes == 0 || e.Fix == "" {
		t.Errorf("two hours later it says %s: %s", e.State, e.Text)
	}
	h.now = h.now.Add(3 * time.Hour)
	if e := h.says("mail.queue"); e.State != layer.NeedsYou || !strings.Contains(e.Text, "2 notices") {
		t.Errorf("five hours later the queue is %s: %s", e.State, e.Text)
	}
	p.start()
	h.deliver()
	p.mail(2)
	if got := h.states(); got["sent"] != 2 {
		t.Errorf("the queue holds %v, want 2 sent", got)
	}
	if e := h.says("mail.sending"); e.State != layer.Safe {
		t.Errorf("with the server back it says %s: %s", e.State, e.Text)
	}
}

func TestADownServerIsNotAskedAgainAtOnce(t *testing.T) {
	s := newScripted(t, func(c *talk) { c.say("554 5.3.2 no service here") })
	h := newHouse(t)
	h.uses(s.settings())
	h.told(h.jo)
	h.deliver()
	for range 5 {
		h.deliver()
	}
	if got := s.talks(); got != 1 {
		t.Errorf("a server that said no was asked %d times within a minute, want once", got)
	}
	h.now = h.now.Add(90 * time.Second)
	h.deliver()
	if got := s.talks(); got != 2 {
		t.Errorf("after a minute and a half it was asked %d times in all, want 2", got)
	}
}

func TestGreylistingIsRespected(t *testing.T) {
	p := newPostfix(t)
	p.answer("jo@practice.example", "451 4.7.1 greylisted, please come back")
	h := newHouse(t)
	h.sends(p, "starttls", smtp.StartTLS)
	h.told(h.jo)
	h.deliver()
	p.mail(1)
	if got := h.states(); got["sent"] != 1 || got["waiting"] != 1 {
		t.Fatalf("the queue holds %v: one address waits, and does not hold the other one up", got)
	}
	p.answer("", "")
	h.now = h.now.Add(4 * time.Minute)
	h.deliver()
	if got := h.states(); got["waiting"] != 1 {
		t.Errorf("a greylisting server was asked again within 5 minutes")
	}
	h.now = h.now.Add(3 * time.Minute)
	h.deliver()
	p.mail(2)
	if e := h.says("mail.queue"); e.State != layer.Safe {
		t.Errorf("the queue is %s: %s", e.State, e.Text)
	}
}

func TestAnAddressThatIsRefusedForGoodIsTold(t *testing.T) {
	p := newPostfix(t)
	p.answer("jo@practice.example", "550 5.1.1 no such user")
	h := newHouse(t)
	h.sends(p, "starttls", smtp.StartTLS)
	h.told(h.jo)
	h.deliver()
	p.mail(1)
	if got := h.states(); got["refused"] != 1 || got["sent"] != 1 {
		t.Fatalf("the queue holds %v", got)
	}
	if got := h.facts(string(h.jo)); !slices.Contains(got, "mail.refused") {
		t.Errorf("the ledger tells %q, and not that a notice was refused", got)
	}
	if e := h.says("mail.queue"); e.State != layer.NeedsYou || e.Page != "/mail" {
		t.Errorf("nobody is asked to look: %s %s", e.State, e.Text)
	}
	_, page := h.get("owner", "/mail")
	if !strings.Contains(page, "there is no such address (550 5.1.1)") || !strings.Contains(page, "Jo Rivera") {
		t.Errorf("the page does not say who was not reached, and why:\n%s", page)
	}
	letter := between(page, "/mail/letters/", "/seen")
	if code, to, _ := h.post("owner", "/mail", "/mail/letters/"+letter+"/seen", map[string][]string{}); code != 303 || to != "/mail" {
		t.Errorf("reading it answers %d %s", code, to)
	}
	if e := h.says("mail.queue"); e.State != layer.Safe {
		t.Errorf("after reading it the queue is still %s: %s", e.State, e.Text)
	}
}

func between(s, a, b string) string {
	_, s, _ = strings.Cut(s, a)
	s, _, _ = strings.Cut(s, b)
	return s
}

func TestNothingIsSaidToAServerThatCannotProveItself(t *testing.T) {
	p := newPostfix(t)
	for _, c := range []struct {
		title, how string
		security   smtp.Security
		says       string
	}{
		{"it offers no TLS", "none", smtp.StartTLS, "offers no encryption"},
		{"its TLS is too old", "old", smtp.StartTLS, "too old"},
		{"its certificate is for another name", "other-name", smtp.StartTLS, "certificate is not one for this name"},
		{"it wants STARTTLS where TLS is spoken at once", "starttls", smtp.TLS, "too old"},
	} {
		t.Run(c.title, func(t *testing.T) {
			h := newHouse(t)
			h.sends(p, c.how, c.security)
			h.told(h.jo)
			h.deliver()
			if got := h.states(); got["waiting"] != 2 {
				t.Errorf("the queue holds %v, want 2 waiting", got)
			}
			e := h.says("mail.sending")
			if e.State != layer.NeedsYou || !strings.Contains(e.Text, c.says) {
				t.Errorf("the owner reads %s: %s", e.State, e.Text)
			}
			p.none()
		})
	}
	t.Run("nobody known vouches for it", func(t *testing.T) {
		h := newHouse(t)
		h.sends(p, "starttls", smtp.StartTLS)
		h.Config.Roots = nil
		h.told(h.jo)
		h.deliver()
		if e := h.says("mail.sending"); !strings.Contains(e.Text, "certificate") {
			t.Errorf("the owner reads %s: %s", e.State, e.Text)
		}
		p.none()
	})
}

func TestWithoutTLSMailGoesToThisMachineOnly(t *testing.T) {
	p := newPostfix(t)
	h := newHouse(t)
	h.sends(p, "plain", smtp.Plain)
	h.told(h.jo)
	h.deliver()
	p.mail(2)
	_, err := smtp.Server{Host: "mail.practice.example", Port: 25, Security: smtp.Plain}.Open(t.Context())
	if e, ok := errors.AsType[*smtp.Error](err); !ok || e.Why != smtp.NoTLS {
		t.Errorf("another machine is spoken to without TLS: %v", err)
	}
}

func TestAServerThatHangsHoldsNothingUpForEver(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	s := newScripted(t, func(c *talk) { c.greet("PIPELINING"); <-hang })
	h := newHouse(t)
	h.Impatient(50 * time.Millisecond)
	h.uses(s.settings())
	h.told(h.jo)
	h.deliver()
	if got := h.states(); got["waiting"] != 2 {
		t.Errorf("the queue holds %v, want 2 waiting", got)
	}
	if e := h.says("mail.sending"); e.State != layer.Checking || !strings.Contains(e.Text, "broke") {
		t.Errorf("the owner reads %s: %s", e.State, e.Text)
	}
}

func TestASlowServerGetsItsTime(t *testing.T) {
	s := newScripted(t, func(c *talk) { c.slow = 20 * time.Millisecond; c.serve("PIPELINING") })
	h := newHouse(t)
	h.uses(s.settings())
	h.told(h.jo)
	h.deliver()
	if got := h.states(); got["sent"] != 2 {
		t.Errorf("the queue holds %v, want 2 sent", got)
	}
}

func TestOneLetterThatBreaksTheServerDoesNotHoldUpTheOthers(t *testing.T) {
	s := newScripted(t, func(c *talk) { c.breaks = "al@practice.example"; c.serve("PIPELINING") })
	h := newHouse(t)
	h.people[h.al] = []string{"al@practice.example"}
	h.uses(s.settings())
	h.told(h.al)
	h.now = h.now.Add(time.Second)
	h.told(h.jo)
	for range 4 {
		h.deliver()
		h.now = h.now.Add(6 * time.Minute)
	}
	if got := h.states(); got["sent"] != 2 || got["waiting"] != 1 {
		t.Errorf("the queue holds %v, want the other 2 sent", got)
	}
}

func TestAServerThatTakesOneMessageAConnectionIsAskedAgain(t *testing.T) {
	s := newScripted(t, func(c *talk) { c.most = 1; c.serve("PIPELINING") })
	h := newHouse(t)
	h.uses(s.settings())
	for range 5 {
		h.told(h.jo)
	}
	h.deliver()
	if got := h.states(); got["sent"] != 10 {
		t.Errorf("the queue holds %v, want 10 sent", got)
	}
}

func TestAfterFiveDaysANoticeIsDroppedAndSaidSo(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		h := newHouseIn(t, open(), func(*mail.Config) {})
		h.told(h.jo)
		h.now = h.now.Add(5*24*time.Hour - time.Minute)
		h.deliver()
		if got := h.states(); got["waiting"] != 2 {
			t.Fatalf("before five days the queue holds %v", got)
		}
		h.now = h.now.Add(2 * time.Minute)
		h.deliver()
		if got := h.states(); got["dropped"] != 2 {
			t.Fatalf("after five days the queue holds %v", got)
		}
		if got := h.facts(string(h.jo)); !slices.Equal(got, []string{"mail.dropped", "mail.dropped"}) {
			t.Errorf("the ledger tells %q", got)
		}
		var left int
		if err := h.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM mail_queue WHERE LENGTH(box) > 0`).Scan(&left); err != nil || left != 0 {
			t.Errorf("%d dropped notices are still kept, %v", left, err)
		}
		h.uses(mail.Settings{Host: "localhost", Port: 1, Security: smtp.Plain, Sender: "notices@practice.example"})
		if e := h.says("mail.queue"); e.State != layer.NeedsYou {
			t.Errorf("nobody is told: %s %s", e.State, e.Text)
		}
		h.now = h.now.Add(31 * 24 * time.Hour)
		h.told(h.jo)
		h.deliver()
		if got := h.states(); got["dropped"] != 0 {
			t.Errorf("after a month it is still told of: %v", got)
		}
	})
}

func TestANoticeWaitsForAPersonsFirstAddress(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		s := newScripted(t, func(c *talk) { c.serve("PIPELINING") })
		h := newHouseIn(t, open(), func(*mail.Config) {})
		h.uses(s.settings())
		h.told(h.al)
		h.deliver()
		h.now = h.now.Add(5 * time.Hour)
		h.deliver()
		if e := h.says("mail.queue"); e.State != layer.NeedsYou || !strings.Contains(e.Text, "no mail address") {
			t.Errorf("nobody is told that an address is missing: %s %s", e.State, e.Text)
		}
		h.people[h.al] = []string{"al@practice.example", "al@practice.example", "nonsense"}
		h.now = h.now.Add(2 * time.Hour)
		h.deliver()
		h.deliver()
		if got := h.states(); got["sent"] != 1 || len(got) != 1 {
			t.Errorf("the queue holds %v, want 1 sent", got)
		}
	})
}

func TestTwoServersOfOneHouseSendEachNoticeOnce(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		s := newScripted(t, func(c *talk) { c.serve("PIPELINING") })
		one := newHouseIn(t, open(), func(*mail.Config) {})
		two := one
		if one.db.Kind() == store.Postgres {
			two = newHouseIn(t, open(), func(*mail.Config) {})
		}
		one.uses(s.settings())
		for range 100 {
			one.told(one.jo)
		}
		done := make(chan error, 2)
		for _, h := range []*house{one, two} {
			go func() { done <- h.Deliver(t.Context()) }()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		one.deliver()
		if got := one.states(); got["sent"] != 200 {
			t.Errorf("the queue holds %v, want 200 sent", got)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for number, times := range s.ids {
			if times != 1 {
				t.Errorf("%s was sent %d times", number, times)
			}
		}
		if len(s.ids) != 200 {
			t.Errorf("%d messages arrived, want 200", len(s.ids))
		}
	})
}

func TestAProviderGetsNoMoreThanItsPace(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		s := newScripted(t, func(c *talk) { c.serve("PIPELINING") })
		h := newHouseIn(t, open(), func(*mail.Config) {})
		set := s.settings()
		set.Pace = 3
		h.uses(set)
		for range 5 {
			h.told(h.jo) // to two providers
		}
		for _, want := range []int{6, 10} {
			h.deliver()
			h.deliver()
			if got := h.states()["sent"]; got != want {
				t.Errorf("%d are sent, want %d", got, want)
			}
			h.now = h.now.Add(61 * time.Second)
		}
	})
}

func TestAStolenDatabaseShowsNoNotice(t *testing.T) {
	h := newHouse(t)
	h.uses(mail.Settings{Host: "smtp.provider.example", Port: 587, Security: smtp.StartTLS, Sender: "notices@practice.example", User: "notices-user", Password: "correct horse battery"})
	h.told(h.jo)
	copied := t.TempDir() + "/copy.db"
	if err := h.db.CopyTo(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	disk := string(read(t, copied))
	for _, secret := range []string{"jo@practice.example", "elsewhere.example", "A new passkey", "Jo’s phone", "correct horse", "notices-user", "provider.example"} {
		if strings.Contains(disk, secret) {
			t.Errorf("a stolen database shows %q", secret)
		}
	}
	if !strings.Contains(disk, string(h.jo)) {
		t.Error("the looking itself finds nothing")
	}
}

func TestALostOutboxKeyIsSaid(t *testing.T) {
	h := newHouse(t)
	h.uses(mail.Settings{Host: "localhost", Port: 1, Security: smtp.Plain, Sender: "notices@practice.example", User: "u", Password: "p"})
	h.Config.Outbox[0] ^= 1
	h.deliver()
	if e := h.says("mail.sending"); e.State != layer.NeedsYou || !strings.Contains(e.Text, "outbox.key") {
		t.Errorf("the owner reads %s: %s", e.State, e.Text)
	}
	for _, path := range []string{"/mail", "/mail/server"} {
		if code, _ := h.get("owner", path); code != 200 {
			t.Errorf("%s answers %d, so it cannot be mended", path, code)
		}
	}
}

func TestWhatWasSentWhileTheDatabaseRefusedIsNotSentAgain(t *testing.T) {
	s := newScripted(t, func(c *talk) { c.serve("PIPELINING") })
	h := newHouse(t)
	h.uses(s.settings())
	h.told(h.jo)
	sql := func(text string) {
		t.Helper()
		if err := h.db.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.ExecContext(t.Context(), text); return err }); err != nil {
			t.Fatal(err)
		}
	}
	sql(`CREATE TRIGGER refuse BEFORE UPDATE OF state ON mail_queue BEGIN SELECT RAISE(FAIL, 'full'); END`)
	if err := h.Deliver(t.Context()); err == nil {
		t.Fatal("nobody is told that the database refuses")
	}
	sql(`DROP TRIGGER refuse`)
	h.now = h.now.Add(time.Hour)
	h.deliver()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ids) != 2 || h.states()["sent"] != 2 {
		t.Errorf("the queue holds %v", h.states())
	}
	for number, times := range s.ids {
		if times != 1 {
			t.Errorf("%s was sent %d times", number, times)
		}
	}
}

func TestNothingWaitsForWhoLeaves(t *testing.T) {
	h := newHouse(t)
	h.people[h.al] = []string{"al@practice.example"}
	h.told(h.jo)
	h.told(h.al)
	open := func() (n int) {
		for d, err := range h.Layer().Knock(t.Context(), h.al, []layer.Door{{Room: "mail", Key: "queue"}}) {
			if err != nil {
				t.Fatal(err)
			}
			if d.Open {
				n++
			}
		}
		return n
	}
	if open() != 1 {
		t.Error("before the leaving no door is open")
	}
	err := h.db.Update(t.Context(), func(tx *store.Tx) error {
		return h.Layer().Offboard(t.Context(), tx, layer.Leaving{Person: h.al})
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := h.states(); got["waiting"] != 2 || open() != 0 {
		t.Errorf("the queue holds %v, want the 2 of the others; %d doors are open", got, open())
	}
}

func TestANoticeCannotBecomeAnythingElse(t *testing.T) {
	h := newHouse(t)
	for title, n := range map[string]layer.Notice{
		"a second header":            {To: h.jo, Subject: "Hello\r\nBcc: all@practice.example", Text: "x"},
		"a bare line feed":           {To: h.jo, Subject: "Hello\nBcc: all@practice.example", Text: "x"},
		"a line separator":           {To: h.jo, Subject: "Hello\u2028there", Text: "x"},
		"letters turned around":      {To: h.jo, Subject: "Hello \u202eereht", Text: "x"},
		"no subject":                 {To: h.jo, Text: "x"},
		"no text":                    {To: h.jo, Subject: "x"},
		"a NUL":                      {To: h.jo, Subject: "x", Text: "a\x00b"},
		"bytes that are no text":     {To: h.jo, Subject: "\xff", Text: "x"},
		"two receivers":              {To: h.jo, Address: "a@b.example", Subject: "x", Text: "x"},
		"no receiver":                {Subject: "x", Text: "x"},
		"a command in the address":   {Address: "a@b.example>\r\nRCPT TO:<c@d.example", Subject: "x", Text: "x"},
		"a list in the address":      {Address: "a@b.example,c@d.example", Subject: "x", Text: "x"},
		"a link elsewhere":           {To: h.jo, Subject: "x", Text: "x", Link: "//elsewhere.example/"},
		"a link with another line":   {To: h.jo, Subject: "x", Text: "x", Link: "/people\nhttps://elsewhere.example"},
		"a link that is no path":     {To: h.jo, Subject: "x", Text: "x", Link: "https://elsewhere.example"},
		"a text that is too long":    {To: h.jo, Subject: "x", Text: strings.Repeat("x", 20_000)},
		"a subject that is too long": {To: h.jo, Subject: strings.Repeat("x", 200), Text: "x"},
	} {
		t.Run(title, func(t *testing.T) {
			err := h.db.Update(t.Context(), func(tx *store.Tx) error { return h.Notify(t.Context(), tx, n) })
			if err == nil {
				t.Error("it is queued")
			} else if strings.Contains(err.Error(), "example") {
				t.Errorf("the error repeats it: %v", err)
			}
		})
	}
	if got := h.states(); len(got) != 0 {
		t.Errorf("the queue holds %v", got)
	}
}

func FuzzAMessageHasItsOwnHeadersAndNoOthers(f *testing.F) {
	f.Add("jo@practice.example", "A new passkey", "text\n.\nQUIT\n", "/doors")
	f.Add("jo@practice.example", "A passkey “x” = ?=?utf-8?q?=0d=0aBcc:_a?=", "Subject: x\n\n\r.\r\n", "")
	f.Add("jö@practice.example", strings.Repeat("ü", 70), "\t=0D=0A", "/x")
	f.Fuzz(func(t *testing.T, to, subject, text, link string) {
		if len(subject) > 150 || len(text) > 1<<14 {
			return
		}
		message, err := mail.Compose(to, subject, text, link, "ABC", "notices@practice.example", "https://vault.practice.example", start)
		if err != nil {
			return
		}
		m, err := netmail.ReadMessage(strings.NewReader(string(message)))
		if err != nil {
			t.Fatalf("it is no message: %v\n%q", err, message)
		}
		if len(m.Header) != 9 {
			t.Fatalf("it has %d headers, want 9: %q", len(m.Header), message)
		}
		for name, values := range m.Header {
			if len(values) != 1 {
				t.Fatalf("%s stands %d times", name, len(values))
			}
		}
		if list, err := m.Header.AddressList("To"); err != nil || len(list) != 1 || list[0].Address != to {
			t.Fatalf("to %q became %v, %v", to, list, err)
		}
		if got, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil || strings.TrimSpace(got) != strings.TrimSpace(subject) {
			t.Fatalf("the subject %q became %q, %v", subject, got, err)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(string(message), "\r\n"), "\r\n") {
			if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") {
				t.Fatalf("a line no server takes: %q", line)
			}
		}
	})
}

func TestAServerIsGreetedSoThatWhatIsKnownOfItIsFresh(t *testing.T) {
	s := newScripted(t, func(c *talk) { c.serve("PIPELINING") })
	h := newHouse(t)
	h.uses(s.settings())
	h.now = h.now.Add(72 * time.Hour)
	if e := h.says("mail.sending"); e.State != layer.NotKnown {
		t.Errorf("three days later it still says %s", e.State)
	}
	if err := h.Greet(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := h.says("mail.sending"); e.State != layer.Safe {
		t.Errorf("after a greeting it says %s: %s", e.State, e.Text)
	}
}

func TestTheRoomSaysThatMailIsNotSetUp(t *testing.T) {
	h := newHouse(t)
	if e := h.says("mail.sending"); e.State != layer.NeedsYou || e.Page != "/mail/server" {
		t.Errorf("it says %s: %s", e.State, e.Text)
	}
	h.Config.MadeUp = true
	if e := h.says("mail.sending"); e.State != layer.Off {
		t.Errorf("in a made-up house it says %s: %s", e.State, e.Text)
	}
}
