package training_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	netsmtp "net/smtp"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/rooms/mail"
	"quietroom/rooms/training"
	"quietroom/rooms/training/apart"
)

// practiceServer is a mail server that keeps what it gets.
type practiceServer struct {
	mu   sync.Mutex
	got  map[string][][]byte // by recipient
	n    int
	keep bool
	port int
}

func newServer(t testing.TB, keep bool) *practiceServer {
	t.Helper()
	p := &practiceServer{got: map[string][][]byte{}, keep: keep}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.port = l.Addr().(*net.TCPAddr).Port
	s := gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) { return &inbox{p: p}, nil }))
	s.Domain = "localhost"
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return p
}

type inbox struct {
	p  *practiceServer
	to string
}

func (s *inbox) Reset()                                      {}
func (s *inbox) Logout() error                               { return nil }
func (s *inbox) Mail(string, *gosmtp.MailOptions) error      { return nil }
func (s *inbox) Rcpt(to string, _ *gosmtp.RcptOptions) error { s.to = to; return nil }
func (s *inbox) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.n++
	if s.p.keep {
		s.p.got[s.to] = append(s.p.got[s.to], b)
	}
	return err
}

// withMail gives the house the real room mail, set up over its pages.
func (h *house) withMail(p *practiceServer) (deliver func()) {
	h.t.Helper()
	m := mail.New(mail.Config{DB: h.db, Now: h.clock, Practice: "practice", Outbox: seal.DeriveKey([]byte("an outbox key of the tests"), "test"), Origin: "http://localhost", Addresses: addresses{h}, Name: func(context.Context, id.Person) string { return "" }})
	l := m.Layer()
	h.must(h.db.Migrate(h.t.Context(), l.Name, l.Schema))
	l.Mount(h.mux)
	keep := p.keep
	p.keep = true
	code, to, page := h.post(0, "/mail/server", "/mail/server", url.Values{"host": {"127.0.0.1"}, "port": {fmt.Sprint(p.port)}, "security": {"plain"}, "sender": {"notices@practice.example"}, "test": {"jo0@practice.example"}})
	if code != 303 || to != "/mail/test" {
		h.t.Fatalf("the mail server is not taken: %d %.300s", code, page)
	}
	test, err := apart.Take(p.got["jo0@practice.example"][0])
	h.must(err)
	if code, _, _ = h.post(0, "/mail/test", "/mail/test", url.Values{"number": {regexpFind(test.Text, `[0-9]{6}`)}}); code != 303 {
		h.t.Fatalf("the test message is not confirmed: %d", code)
	}
	p.keep, p.n = keep, 0
	clear(p.got)
	h.Training.Config.Post, h.Training.Config.Notices = posting{m}, m
	i := slices.IndexFunc(l.Jobs, func(j layer.Job) bool { return j.Name == "deliver" })
	return func() { h.t.Helper(); h.must(l.Jobs[i].Run(h.t.Context())) }
}

type addresses struct{ h *house }

func (a addresses) Addresses(_ context.Context, p id.Person) ([]string, error) {
	if n := a.h.number(p); n >= 0 {
		return a.h.staff[n].Addresses, nil
	}
	return nil, nil
}

type posting struct{ *mail.Mail }

func (p posting) Post(ctx context.Context, tx *store.Tx, m training.Message) (string, error) {
	return p.Mail.Post(ctx, tx, mail.Practice{To: m.To, Address: m.Address, From: m.From, Subject: m.Subject, Text: m.Text, HTML: m.HTML, Mark: m.Marker})
}

// TestAWholeCampaign goes from the plan over a real mail server to mailboxes, has
// scanners and people follow the links that stand in the messages, and people
// forward them to the report address.
func TestAWholeCampaign(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 9)
	p := newServer(t, true)
	deliver := h.withMail(p)
	h.must(h.TurnOn(t.Context()))
	h.must(h.Listen(t.Context(), "127.0.0.1:0", "report@practice.example"))
	for end := h.clock().Add(32 * 24 * time.Hour); h.clock().Before(end); h.wait(2 * time.Hour) {
		h.must(h.Turn(t.Context()))
		deliver()
	}
	h.must(h.Turn(t.Context()))
	if p.n != 9 {
		t.Fatalf("%d messages arrived for 9 people", p.n)
	}
	ask := func(method, path, agent, form string) string {
		r := httptest.NewRequest(method, path, strings.NewReader(form))
		r.Host = "localhost"
		for k, v := range map[string]string{"User-Agent": agent, "Accept": html, "Accept-Language": "en", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1", "Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": map[string]string{"GET": "none", "POST": "same-origin"}[method]} {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		h.mux.ServeHTTP(w, r)
		if w.Code >= 400 {
			t.Errorf("%s: %d", method, w.Code)
		}
		if found := noteInPage.FindStringSubmatch(w.Body.String()); found != nil {
			return found[1]
		}
		return ""
	}
	people, reports := 0, 0
	for i, s := range h.staff {
		got := p.got[s.Addresses[0]]
		if len(got) != 1 {
			t.Fatalf("person %d got %d messages", i, len(got))
		}
		m, err := apart.Take(got[0])
		h.must(err)
		if m.FromAddress != "notices@practice.example" || m.Mark == "" || len(m.Tokens) != 1 || !strings.Contains(string(got[0]), "multipart/alternative") {
			t.Errorf("%+v", m)
		}
		path := "/m/" + m.Tokens[0]
		ask("GET", path, "python-requests/2.32.3", "")
		page := ask("GET", path, windows, "")
		ask("POST", path, windows, url.Values{"page": {page}, "go": {"yes"}, "how": {`{"trusted":false,"shown":1}`}}.Encode())
		switch i % 3 {
		case 0:
			people++
			page := ask("GET", path, windows, "")
			h.wait(5 * time.Second)
			ask("POST", path, windows, url.Values{"page": {page}, "go": {"yes"}, "how": {`{"kind":"mouse","trusted":true,"active":true,"shown":4000,"moves":20,"span":700,"press":80}`}}.Encode())
		case 1:
			reports++
			h.must(netsmtp.SendMail(h.Listening(), nil, s.Addresses[0], []string{"report@practice.example"}, []byte(forward(s.Addresses[0], string(got[0])))))
		}
	}
	sent, reported, wentOn, held, err := h.Figures(t.Context())
	if err != nil || sent != 9 || reported != reports || wentOn+held != people {
		t.Errorf("sent %d, reported %d (want %d), acted %d (want %d): %v", sent, reported, reports, wentOn+held, people, err)
	}
	deliver()
	if thanks := p.n - 9; thanks != reports {
		t.Errorf("%d thanks arrived, want %d", thanks, reports)
	}
	_, page := h.get(0, "/training/practice")
	if !strings.Contains(page, "What to praise, what to do") || strings.Contains(page, h.staff[3].Name) {
		t.Error("the owner's page does not say what to praise, or names somebody")
	}
}

// BenchmarkTenThousandMessages plans, queues, and hands 10,000 practice messages
// to a local mail server.
func BenchmarkTenThousandMessages(b *testing.B) {
	const people = 10_000
	for b.Loop() {
		b.StopTimer()
		h := newHouse(b, people)
		p := newServer(b, false)
		deliver := h.withMail(p)
		h.must(h.TurnOn(b.Context()))
		h.wait(24 * time.Hour)
		h.must(h.Turn(b.Context()))
		h.must(h.db.Update(b.Context(), func(tx *store.Tx) error {
			return tx.Send(b.Context(), `UPDATE training_messages SET planned = $1`, h.clock().UnixMilli())
		}))
		b.StartTimer()
		h.must(h.Turn(b.Context()))
		for range 100 {
			if deliver(); p.n >= people {
				break
			}
		}
		b.StopTimer()
		if p.n != people {
			b.Fatalf("%d of %d arrived", p.n, people)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(people*b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkPagesUnderScanners asks for the page behind a link 200 times a second,
// as scanners do, with a person's act among twenty, and tells the 99th percentile.
func BenchmarkPagesUnderScanners(b *testing.B) {
	h := newHouse(b, 1)
	m := h.oneMessage()
	h.wait(time.Hour)
	server := httptest.NewServer(h.mux)
	b.Cleanup(server.Close)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	b.ResetTimer()
	for i := range max(b.N, 2000) {
		<-tick.C
		wg.Go(func() {
			began := time.Now()
			r, _ := http.NewRequest("GET", server.URL+link(m), nil)
			if i%20 == 0 {
				r, _ = http.NewRequest("POST", server.URL+link(m), strings.NewReader("go=yes&how="))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			r.Header.Set("User-Agent", windows)
			res, err := client.Do(r)
			if err != nil {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(began))
		})
	}
	wg.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
}
