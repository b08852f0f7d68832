package training_test

import (
	"bytes"
	"context"
	"fmt"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"

	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/training"
)

const evil = "From: \"Payroll\" <pay@evil.example>\r\nTo: jo@practice.example\r\nSubject: Your <b>invoice</b>\r\nMessage-ID: <evil-1@evil.example>\r\nDate: Mon, 30 Nov 2026 10:00:00 +0000\r\nAuthentication-Results: mx; dmarc=fail\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<script>alert(1)</script><a href=\"https://login.evil.example/x\">https://bank.example</a> for Ada Patient\r\n--b\r\nContent-Type: application/octet-stream; name=\"invoice.pdf.exe\"\r\nContent-Disposition: attachment; filename=\"invoice.pdf.exe\"\r\nContent-Transfer-Encoding: base64\r\n\r\nTVqQAAM=\r\n--b--\r\n"

// forward makes a mail to the report address, from a person, with another in it.
func forward(from, inner string) string {
	return "From: <" + from + ">\r\nTo: report@practice.example\r\nSubject: Fwd\r\nDate: Mon, 30 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=outer\r\n\r\n--outer\r\nContent-Type: text/plain\r\n\r\nplease look\r\n--outer\r\nContent-Type: message/rfc822\r\n\r\n" + inner + "\r\n--outer--\r\n"
}

// raw is a practice message as somebody gets it.
func raw(m training.Message) string {
	return "From: <notices@practice.example>\r\nTo: <" + m.Address + ">\r\nSubject: " + m.Subject + "\r\nDate: Mon, 30 Nov 2026 10:00:00 +0000\r\nX-Quietroom-Exercise: " + m.Marker + "\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + strings.ReplaceAll(m.Text, "\n", "\r\n") + "\r\n"
}

func (h *house) upload(n int, said, mail string) string {
	h.t.Helper()
	_, page := h.get(n, "/report")
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	w.WriteField(web.TokenField, tokenInPage.FindStringSubmatch(page)[1])
	w.WriteField("said", said)
	if mail != "" {
		f, err := w.CreateFormFile("mail", "odd.eml")
		h.must(err)
		f.Write([]byte(mail))
	}
	w.Close()
	r := httptest.NewRequest("POST", "/report", &b)
	r.Header.Set("Content-Type", w.FormDataContentType())
	r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: fmt.Sprint(n)})
	out := httptest.NewRecorder()
	h.mux.ServeHTTP(out, r)
	return out.Header().Get("Location")
}

func TestAReportIsThankedAtOnceAndJudgedLater(t *testing.T) {
	h := newHouse(t, 6)
	to := h.upload(1, "this is odd", evil)
	if _, page := h.get(1, to); !strings.Contains(page, "Thank you") {
		t.Errorf("no thanks at %s", to)
	}
	if code, _ := h.get(2, to); code != 404 {
		t.Errorf("a colleague reads it: %d", code)
	}
	if e := h.says("training.reports"); e.State != layer.NeedsYou {
		t.Errorf("%v %s", e.State, e.Text)
	}
	_, list := h.get(0, "/training/reports")
	path := regexpFind(list, `/training/reports/[0-9A-Za-z]{26}`)
	_, page := h.get(0, path)
	for _, bad := range []string{"<script>alert", "<b>invoice", `href="https://login`, "https://login.evil", "http://"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page shows %q", bad)
		}
	}
	for _, good := range []string{"hxxps://login[.]evil[.]example/x", "The words name another address", "invoice.pdf.exe", "two endings", "dmarc fail", "No antivirus runs here"} {
		if !strings.Contains(page, good) {
			t.Errorf("the page does not say %q", good)
		}
	}
	h.notices = nil
	if code, _, _ := h.post(0, path, path, url.Values{"verdict": {"bad"}}); code != 303 {
		t.Fatalf("%d", code)
	}
	if len(h.notices) != 7 { // all six are warned, and the reporter hears what it was
		t.Errorf("%d notices", len(h.notices))
	}
	for _, n := range h.notices {
		if strings.Contains(n.Subject+n.Text, "Ada") || strings.Contains(n.Subject+n.Text, "invoice") || strings.Contains(n.Text, "evil.example") {
			t.Errorf("the notice repeats the message: %s", n.Text)
		}
	}
	h.post(0, path, path, url.Values{"verdict": {"bad"}})
	if len(h.notices) != 7 {
		t.Error("a second press warns everybody again")
	}
	if code, _, _ := h.post(0, path, path+"/lesson", url.Values{}); code != 303 {
		t.Errorf("%d", code)
	}
	_, page = h.get(3, "/training")
	lessonPath := regexpFind(page, `/training/lessons/here-[0-9a-z]+/1`)
	if lessonPath == "" {
		t.Fatal("no lesson was made of it")
	}
	_, page = h.get(3, strings.TrimSuffix(lessonPath, "1")+"2")
	if !strings.Contains(page, "led to another one") || strings.Contains(page, "Ada") || strings.Contains(page, "evil") {
		t.Errorf("the lesson tells too little or too much")
	}
}

func TestPracticeMessagesAreKnownHoweverTheyAreReported(t *testing.T) {
	h := newHouse(t, 6)
	h.must(h.TurnOn(t.Context()))
	h.run(31 * 24 * time.Hour)
	h.must(h.Listen(t.Context(), "127.0.0.1:0", "report@practice.example"))
	at := h.Listening()
	for i, letter := range h.letters[:6] {
		m := h.sent[letter]
		inline := fmt.Sprintf("From: <%s>\r\nTo: report@practice.example\r\nSubject: Fwd: %s\r\nDate: Mon, 30 Nov 2026 10:00:00 +0000\r\n\r\nodd?\r\n\r\n---------- Forwarded message ---------\r\n> %s\r\n", m.Address, m.Subject, strings.ReplaceAll(m.Text, "\n", "\r\n> "))
		n := h.number(m.To)
		switch i {
		case 0:
			to := h.upload(n, "", raw(m))
			if _, page := h.get(n, to); !strings.Contains(page, "It was a practice message") || !strings.Contains(page, "three signs") {
				t.Error("the page does not say so at once")
			}
		case 1, 2, 3: // over SMTP: attached, inline, and twice the same
			text := inline
			if i != 2 {
				text = forward(m.Address, raw(m))
			}
			for range map[int]int{1: 1, 2: 1, 3: 2}[i] {
				h.must(smtp.SendMail(at, nil, m.Address, []string{"report@practice.example"}, []byte(text)))
			}
		default:
			h.must(h.Forwarded(t.Context(), "imap", forward(m.Address, raw(m))))
		}
	}
	if err := smtp.SendMail(at, nil, "x@y.example", []string{"somebody@practice.example"}, []byte("Subject: x\r\n\r\n")); err == nil || !strings.Contains(err.Error(), "no such address") {
		t.Errorf("another address is received: %v", err)
	}
	_, reported, _, _, err := h.Figures(t.Context())
	if err != nil || reported != 6 {
		t.Errorf("%d of 6 reports are counted (%v)", reported, err)
	}
	thanks := 0
	for _, n := range h.notices {
		if n.Subject == "Thank you for reporting" {
			thanks++
		}
	}
	if thanks != 5 {
		t.Errorf("%d thanks were sent for 5 forwarded messages", thanks)
	}
	if e := h.says("training.reports"); e.State != layer.Safe {
		t.Errorf("practice messages wait for an owner: %s", e.Text)
	}
}

func TestAFloodOfReportsIsBounded(t *testing.T) {
	h := newHouse(t, 2)
	refused := 0
	for i := range 30 {
		if h.Forwarded(t.Context(), "smtp", fmt.Sprintf("From: x%d@elsewhere.example\r\nSubject: %d\r\n\r\nbuy\r\n", i, i)) != nil {
			refused++
		}
	}
	if refused != 10 || len(h.notices) != 0 {
		t.Errorf("of 30 messages of strangers %d were refused, and %d answered", refused, len(h.notices))
	}
	if err := h.Forwarded(t.Context(), "smtp", forward(h.staff[1].Addresses[0], evil)); err != nil {
		t.Errorf("a colleague's report is refused: %v", err)
	}
}

func (h *house) number(p any) int {
	for i, s := range h.staff {
		if s.ID == p {
			return i
		}
	}
	return -1
}

func TestMailboxesAreReadAndCleanedOverIMAP(t *testing.T) {
	mem := imapmemserver.New()
	boxes := map[string]*imapmemserver.User{}
	for _, name := range []string{"report", "jo"} {
		u := imapmemserver.NewUser(name, "secret")
		h := u.Create("INBOX", nil)
		if h != nil {
			t.Fatal(h)
		}
		mem.AddUser(u)
		boxes[name] = u
	}
	put := func(user, text string) {
		t.Helper()
		if _, err := boxes[user].Append("INBOX", literal{strings.NewReader(text), int64(len(text))}, &imap.AppendOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := imapserver.New(&imapserver.Options{NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
		return mem.NewSession(), nil, nil
	}, InsecureAuth: true, Caps: imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapIMAP4rev2: {}, imap.CapMove: {}, imap.CapUIDPlus: {}}})
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })

	h := newHouse(t, 3)
	put("jo", evil)
	put("jo", strings.Replace(evil, "evil-1", "evil-2", 1)) // of the same sender
	put("jo", "From: friend@elsewhere.example\r\nSubject: Lunch\r\n\r\nAt one?\r\n")
	put("report", forward(h.staff[1].Addresses[0], evil))
	code, _, page := h.post(0, "/training/reports", "/training/reports/settings", url.Values{"address": {"report@practice.example"}, "imap": {l.Addr().String()}, "user": {"report"}, "password": {"wrong"}, "plain": {"yes"}})
	if code != 422 || !strings.Contains(page, "refuses user and password") {
		t.Errorf("a wrong password: %d", code)
	}
	code, _, _ = h.post(0, "/training/reports", "/training/reports/settings", url.Values{"address": {"report@practice.example"}, "imap": {l.Addr().String()}, "user": {"report"}, "password": {"secret"}, "plain": {"yes"}, "more": {"jo"}, "morepassword": {"secret"}})
	if code != 303 {
		t.Fatalf("%d", code)
	}
	if _, page := h.get(0, "/training/reports"); strings.Contains(page, "secret") {
		t.Error("a password is shown")
	}
	h.must(h.ReadMailbox(t.Context()))
	h.must(h.ReadMailbox(t.Context())) // a second look finds nothing new
	_, list := h.get(0, "/training/reports")
	if !strings.Contains(list, "1 report waits") {
		t.Fatalf("the report was not read: %s", list)
	}
	path := regexpFind(list, `/training/reports/[0-9A-Za-z]{26}`)
	if code, _, _ := h.post(0, path, path, url.Values{"verdict": {"bad"}}); code != 303 {
		t.Fatalf("%d", code)
	}
	h.must(h.ReadMailbox(t.Context()))
	for folder, want := range map[string]uint32{"INBOX": 1, "Quietroom held": 2} {
		status, err := boxes["jo"].Status(folder, &imap.StatusOptions{NumMessages: true})
		if err != nil || *status.NumMessages != want {
			t.Errorf("%s holds %v, want %d (%v)", folder, status, want, err)
		}
	}
	if _, page := h.get(0, path); !strings.Contains(page, "Moved out of") {
		t.Error("the page does not say that it was removed")
	}
}

type literal struct {
	*strings.Reader
	size int64
}

func (l literal) Size() int64 { return l.size }

// scanner finds malware in whatever says "TVqQ".
type scanner struct{}

func (scanner) Scan(_ context.Context, content []byte) (string, error) {
	if bytes.Contains(content, []byte("TVqQ")) {
		return "malware", nil
	}
	return "clean", nil
}

func TestReportedMalwareIsHeldScannedAndUrgent(t *testing.T) {
	h := newHouse(t, 3)
	h.Scanner = scanner{}
	h.upload(1, "", evil)
	h.upload(1, "a call from support", "")
	h.upload(1, "", "PK\x03\x04 this is no mail")
	h.must(h.ReadMailbox(t.Context()))
	e := h.says("training.reports")
	if e.State != layer.Urgent || !strings.Contains(e.Text, "malware") {
		t.Errorf("%v %s", e.State, e.Text)
	}
	_, list := h.get(0, "/training/reports")
	for _, want := range []string{"3 reports wait", "A message that cannot be read", "Something was told"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list does not say %q", want)
		}
	}
	h.dbHasNot("TVqQ", "invoice", "evil.example", "a call from support")
	if to := h.upload(1, "", ""); to != "" {
		t.Error("an empty report is taken")
	}
}

// dbHasNot looks for plain words in the database's files.
func (h *house) dbHasNot(words ...string) {
	h.t.Helper()
	for _, file := range h.files() {
		for _, w := range words {
			if bytes.Contains(file, []byte(w)) {
				h.t.Errorf("the database holds %q in the clear", w)
			}
		}
	}
}

func TestAnExerciseIsMarkedEverywhereAndEndsWithWhoFixesWhat(t *testing.T) {
	h := newHouse(t, 3)
	_, to, _ := h.post(0, "/training/exercises", "/training/exercises", url.Values{"script": {"stolen"}, "people": {"Jo, Al and the front desk"}})
	for i := range 3 {
		_, page := h.get(0, to)
		if !strings.Contains(page, "Exercise 1. This is no incident") || !strings.Contains(page, "made up") {
			t.Errorf("scene %d is not marked", i)
		}
		h.wait(3 * time.Minute)
		if code, _, _ := h.post(0, to, to, url.Values{"said": {"Jo calls Ada back."}}); code != 303 {
			t.Fatalf("%d", code)
		}
	}
	if code, _, _ := h.post(0, to, to, url.Values{"learned": {"We do not know where old disks are."}}); code != 422 {
		t.Errorf("it ends without who and when: %d", code)
	}
	h.post(0, to, to, url.Values{"learned": {"We do not know where old disks are."}, "who": {"Al"}, "day": {"2026-12-10"}})
	if _, page := h.get(0, to); !strings.Contains(page, "Al fixes it by") || !strings.Contains(page, "9 minutes") {
		t.Error("the record does not say who fixes what by when")
	}
	if e := h.says("training.exercises"); e.State != layer.Safe {
		t.Errorf("%v %s", e.State, e.Text)
	}
	h.wait(20 * 24 * time.Hour)
	if e := h.says("training.exercises"); e.State != layer.NeedsYou {
		t.Errorf("overdue, and %v", e.State)
	}
	h.post(0, to, to, url.Values{"fixed": {"yes"}})
	if e := h.says("training.exercises"); e.State != layer.Safe {
		t.Errorf("fixed, and %v", e.State)
	}
	h.dbHasNot("old disks", "front desk")
	_, to, _ = h.post(0, "/training/exercises", "/training/exercises", url.Values{"script": {"pixel"}, "people": {"Jo"}})
	if _, page := h.get(0, to); !strings.Contains(page, "Exercise 2.") {
		t.Error("the second one has no number of its own")
	}
	for _, kind := range []string{"near-miss", "device", "tracker"} {
		if code, _, _ := h.post(0, "/training/team", "/training/team/here", url.Values{"what": {kind}}); code != 303 {
			t.Errorf("%s: %d", kind, code)
		}
	}
	if _, page := h.get(1, "/training"); strings.Count(page, "Given to you this time") != 3 {
		t.Error("a lesson of what happened here is missing")
	}
}
