package apart_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"

	"quietroom/rooms/training/apart"
)

const bad = "From: \"Payroll\" <pay@evil.example>\r\nReply-To: other@worse.example\r\nTo: jo@practice.example\r\nSubject: =?utf-8?q?Your_=E2=80=AEpay?=\r\nMessage-ID: <1@evil.example>\r\nDate: Mon, 30 Nov 2026 10:00:00 +0000\r\nAuthentication-Results: mx; spf=fail smtp.mailfrom=evil.example; dkim=none; dmarc=fail\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<script>alert(1)</script><a href=\"https://login.evil.example/x?u=1\">https://bank.example</a><form action=http://evil.example/take><img src=https://pixel.example/p.gif>\r\n--b\r\nContent-Type: application/octet-stream; name=\"invoice.pdf.exe\"\r\nContent-Disposition: attachment; filename=\"invoice.pdf.exe\"\r\nContent-Transfer-Encoding: base64\r\n\r\nTVqQAAM=\r\n--b--\r\n"

func TestAMessageIsTakenApartAndNothingInItCanBePressed(t *testing.T) {
	m, err := apart.Take([]byte(bad))
	if err != nil {
		t.Fatal(err)
	}
	if m.FromAddress != "pay@evil.example" || m.Domain != "evil.example" || !slices.Equal(m.Auth, []string{"spf fail", "dkim none", "dmarc fail"}) {
		t.Errorf("%+v", m)
	}
	if strings.Contains(m.Subject, "\u202e") {
		t.Error("a letter that turns the line round is kept")
	}
	var kinds []string
	for _, l := range m.Links {
		kinds = append(kinds, l.Kind)
		if strings.Contains(l.To, "http:") || strings.Contains(l.To, "https:") || strings.Contains(l.Host, "evil.example") {
			t.Errorf("%q can be pressed", l.To)
		}
	}
	if !slices.Contains(kinds, "form") || !slices.Contains(kinds, "picture") || !m.Links[0].Other || m.Links[0].To != "hxxps://login[.]evil[.]example/x?u=1" {
		t.Errorf("%+v", m.Links)
	}
	if len(m.Files) != 1 || !m.Files[0].Risky || !m.Files[0].Twice || m.Files[0].Size != 5 {
		t.Errorf("%+v", m.Files)
	}
}

const token = "ABCDEFGHIJKLMNOPQRSTUVWX23"

func TestWhatIsReportedIsFoundAttachedInlineAndRewritten(t *testing.T) {
	inner := "From: \"Shared Files\" <notices@practice.example>\r\nSubject: A file\r\nX-Quietroom-Exercise: MARK\r\nDate: x\r\n\r\nOpen: https://house.example/m/" + token + "\r\n"
	for _, c := range []struct{ title, raw string }{
		{"attached", "From: jo@practice.example\r\nSubject: Fwd\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nlook\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner + "\r\n--b--\r\n"},
		{"attached as a file", "From: jo@practice.example\r\nSubject: Fwd\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nlook\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"A file.eml\"\r\n\r\n" + inner + "\r\n--b--\r\n"},
		{"inline", "From: jo@practice.example\r\nSubject: Fwd: A file\r\n\r\nlook\r\n\r\n---------- Forwarded message ---------\r\nFrom: Shared Files\r\n\r\n> Open:\r\n> https://house.example/m/" + token + "\r\n"},
		{"inline, rewritten by a gateway", "From: jo@practice.example\r\nSubject: Fwd\r\nContent-Type: text/html\r\n\r\n<a href=\"https://nam02.safelinks.protection.outlook.com/?url=https%3A%2F%2Fhouse.example%2Fm%2F" + token + "&data=05\">Open</a>\r\n"},
		{"quoted-printable with soft breaks", "From: jo@practice.example\r\nSubject: Fwd\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nhttps://house.example/m/ABCDEFGHIJ=\r\nKLMNOPQRSTUVWX23\r\n"},
	} {
		t.Run(c.title, func(t *testing.T) {
			m, err := apart.Take([]byte(c.raw))
			if err != nil {
				t.Fatal(err)
			}
			var tokens []string
			for _, one := range m.All() {
				tokens = append(tokens, one.Tokens...)
			}
			if !slices.Contains(tokens, token) {
				t.Errorf("the link is not found: %+v", m)
			}
			if strings.HasPrefix(c.title, "attached") && m.Reported().Mark != "MARK" {
				t.Errorf("the mark is not found: %+v", m.Reported())
			}
		})
	}
}

func TestWhatIsNoMailIsRefused(t *testing.T) {
	for _, raw := range []string{"", "hello", "PK\x03\x04", strings.Repeat("a", 5000), "{\"x\": 1}"} {
		if _, err := apart.Take([]byte(raw)); !errors.Is(err, apart.ErrNoMail) {
			t.Errorf("%.10q: %v", raw, err)
		}
	}
	if _, err := apart.Take(make([]byte, apart.Biggest+1)); !errors.Is(err, apart.ErrTooBig) {
		t.Error(err)
	}
	deep := "From: a@b.example\r\nSubject: x\r\n\r\nend\r\n"
	for range 50 { // messages in messages, to no end
		deep = "From: a@b.example\r\nSubject: x\r\nContent-Type: message/rfc822\r\n\r\n" + deep
	}
	m, err := apart.Take([]byte(deep))
	if err != nil || len(m.All()) > 6 {
		t.Errorf("%d deep, %v", len(m.All()), err)
	}
}

func FuzzTakingAStrangersMessageApart(f *testing.F) {
	f.Add([]byte(bad))
	f.Add([]byte("From: a@b.example\r\nContent-Type: multipart/mixed; boundary=\r\n\r\n--\r\n--"))
	f.Add([]byte("Subject: x\r\nContent-Type: message/rfc822\r\n\r\nFrom: x\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := apart.Take(raw)
		if err != nil {
			return
		}
		for _, one := range m.All() {
			for _, l := range one.Links {
				if low := strings.ToLower(l.To); strings.HasPrefix(low, "http:") || strings.HasPrefix(low, "https:") {
					t.Errorf("%q can be pressed", l.To)
				}
			}
			for _, s := range []string{one.Subject, one.From, one.Text, one.Mark} {
				if strings.ContainsFunc(s, func(c rune) bool {
					return c != '\n' && c != '\t' && (unicode.IsControl(c) || unicode.Is(unicode.Cf, c))
				}) {
					t.Errorf("%q hides something", s)
				}
			}
		}
	})
}
