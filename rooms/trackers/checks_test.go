package trackers_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"quietroom/rooms/trackers"
)

// zone is a name system that knows a few names.
type zone struct {
	txt  map[string]string
	mx   []string
	down string // a name of which nothing is heard
}

func (z zone) TXT(_ context.Context, name string) ([]string, error) {
	if name == z.down {
		return nil, &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
	}
	if t, ok := z.txt[name]; ok {
		return []string{"something else", t}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (z zone) MX(context.Context, string) ([]string, error) {
	if z.mx == nil {
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	return z.mx, nil
}

func TestMailRecordsAreReadAsTheyAre(t *testing.T) {
	good := map[string]string{"harbor.example": "v=spf1 include:_spf.example -all", "_dmarc.harbor.example": "v=DMARC1; p=quarantine; rua=mailto:a@harbor.example", "google._domainkey.harbor.example": "v=DKIM1; k=rsa; p=MIIB",
		"_mta-sts.harbor.example": "v=STSv1; id=1", "_smtp._tls.harbor.example": "v=TLSRPTv1; rua=mailto:a@harbor.example"}
	with := func(name, text string) map[string]string {
		all := map[string]string{}
		for k, v := range good {
			all[k] = v
		}
		if all[name] = text; text == "" {
			delete(all, name)
		}
		return all
	}
	mx := []string{"mx.harbor.example."}
	for name, c := range map[string]struct {
		zone   zone
		policy string
		check  string
		want   trackers.State
	}{
		"all is there":           {zone{txt: good, mx: mx}, "mode: enforce", "", trackers.Good},
		"no SPF":                 {zone{txt: with("harbor.example", ""), mx: mx}, "mode: enforce", "mail: SPF", trackers.Needs},
		"SPF for everybody":      {zone{txt: with("harbor.example", "v=spf1 +all"), mx: mx}, "mode: enforce", "mail: SPF", trackers.Needs},
		"DMARC that only counts": {zone{txt: with("_dmarc.harbor.example", "v=DMARC1; p=none"), mx: mx}, "mode: enforce", "mail: DMARC", trackers.Needs},
		"no DKIM that we find":   {zone{txt: with("google._domainkey.harbor.example", ""), mx: mx}, "mode: enforce", "mail: DKIM", trackers.NotKnown},
		"MTA-STS only tried":     {zone{txt: good, mx: mx}, "mode: testing", "mail: MTA-STS", trackers.Needs},
		"no TLS-RPT":             {zone{txt: with("_smtp._tls.harbor.example", ""), mx: mx}, "mode: enforce", "mail: TLS-RPT", trackers.Needs},
		"silence about DMARC":    {zone{txt: good, mx: mx, down: "_dmarc.harbor.example"}, "mode: enforce", "mail: DMARC", trackers.NotKnown},
		"silence about SPF":      {zone{txt: good, mx: mx, down: "harbor.example"}, "mode: enforce", "mail: SPF", trackers.NotKnown},
		"no mail is taken":       {zone{txt: good}, "", "mail: on the way", trackers.NotKnown},
	} {
		t.Run(name, func(t *testing.T) {
			all := trackers.MailChecks(t.Context(), c.zone, "harbor.example", func(context.Context, string) (string, error) { return c.policy, nil })
			found := c.check == ""
			for _, k := range all {
				switch {
				case k.Name == c.check:
					found = true
					if k.State != c.want {
						t.Errorf("%s is %q, want %q: %s", k.Name, k.State, c.want, k.Text)
					}
				case k.State != trackers.Good && c.zone.mx != nil:
					t.Errorf("%s is %q, want it good: %s", k.Name, k.State, k.Text)
				}
			}
			if !found || len(all) < 4 {
				t.Errorf("%d checks, and %q is not among them", len(all), c.check)
			}
		})
	}
}

func TestACertificateIsJudged(t *testing.T) {
	now := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "harbor.example"}, DNSNames: []string{"harbor.example"}, NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(0, 2, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if c := trackers.JudgeCertificate(tls.ConnectionState{Version: tls.VersionTLS13, PeerCertificates: []*x509.Certificate{cert}}, "harbor.example", now); c.State != trackers.Needs || !strings.Contains(c.Text, "do not believe") {
		t.Errorf("a certificate that nobody signed is judged %+v", c)
	}
	if c := trackers.JudgeCertificate(tls.ConnectionState{}, "harbor.example", now); c.State != trackers.NotKnown {
		t.Errorf("no certificate is judged %+v", c)
	}
}

func TestHeadersThatAreMissingAreNamed(t *testing.T) {
	all := http.Header{"Strict-Transport-Security": {"max-age=1"}, "Content-Security-Policy": {"default-src 'self'; frame-ancestors 'none'"}, "X-Content-Type-Options": {"nosniff"}, "Referrer-Policy": {"no-referrer"}}
	if c := trackers.JudgeHeaders(all); len(c) != 1 || c[0].State != trackers.Good {
		t.Errorf("all five: %+v", c)
	}
	all.Del("Referrer-Policy")
	if c := trackers.JudgeHeaders(all); len(c) != 1 || c[0].State != trackers.Needs || !strings.Contains(c[0].Text, "Referrer-Policy") || strings.Contains(c[0].Text, "Strict") {
		t.Errorf("one is missing: %+v", c)
	}
}

func TestWhatLiesOpenIsFoundByGetsOfTheOwnHostOnly(t *testing.T) {
	asked := map[string]bool{}
	open := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked[r.URL.Path] = true; r.Method != http.MethodGet {
			t.Errorf("a %s of %s", r.Method, r.URL)
		}
		switch r.URL.Path {
		case "/.git/HEAD":
			fmt.Fprint(w, "ref: refs/heads/main\n")
		case "/backup.sql":
			fmt.Fprint(w, "-- mysqldump\nCREATE TABLE patients")
		case "/.env":
			fmt.Fprint(w, "<html>our own page for what is not there</html>")
		case "/uploads/":
			http.Redirect(w, r, "http://other.example/uploads/", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	})
	n := world(map[string]http.Handler{"harbor.example": open, "other.example": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("another host was asked") })}, t)
	s, err := trackers.ScanOf(trackers.Options{URL: "http://harbor.example/", Net: n})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, c := range trackers.Exposed(s, t.Context()) {
		for _, p := range []string{"/.git/HEAD", "/backup.sql", "/.env", "/uploads/"} {
			if strings.Contains(c.Text, p) && c.State == trackers.Needs {
				found[p] = true
			}
		}
	}
	if !found["/.git/HEAD"] || !found["/backup.sql"] || found["/.env"] || found["/uploads/"] || len(asked) < 8 {
		t.Errorf("found %v, asked for %d paths", found, len(asked))
	}
}
