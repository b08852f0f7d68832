package trackers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"quietroom/rooms/trackers/chrome"
	"quietroom/rooms/trackers/vendors"
)

// MailRecords finds what a domain says about itself in the name system.
type MailRecords interface {
	TXT(ctx context.Context, name string) ([]string, error)
	MX(ctx context.Context, name string) ([]string, error)
}

// SystemDNS asks the resolver of this machine.
type SystemDNS struct{}

// TXT returns the texts under a name.
func (SystemDNS) TXT(ctx context.Context, name string) ([]string, error) {
	return net.DefaultResolver.LookupTXT(ctx, name)
}

// MX returns the hosts that take a domain's mail.
func (SystemDNS) MX(ctx context.Context, name string) (hosts []string, err error) {
	all, err := net.DefaultResolver.LookupMX(ctx, name)
	for _, m := range all {
		hosts = append(hosts, m.Host)
	}
	return hosts, err
}

// checks look at the site besides what leaves it.
func (s *scan) checks(ctx context.Context) (all []Check) {
	all = append(all, s.notice())
	if a, err := netip.ParseAddr(s.start.Hostname()); s.Local || err == nil && !chrome.Public(a) {
		return append(all, Check{"protection", NotKnown, "The site is on this machine, so its certificate, headers and mail records were not looked at.", ""})
	}
	all = append(all, s.certificate(ctx))
	all = append(all, s.plainHTTP(ctx))
	all = append(all, s.headers()...)
	all = append(all, s.exposed(ctx)...)
	if s.Mail != nil && !isIP(s.start.Hostname()) {
		all = append(all, mailChecks(ctx, s.Mail, vendors.Site(s.start.Hostname()), s.policy)...)
	}
	return all
}

// noticeCheck is the name of the check for the notice.
const noticeCheck = "notice of privacy practices"

// noticeWords tell a link to the notice that a practice posts (45 CFR 164.520(c)(3)(i)).
var noticeWords = regexp.MustCompile(`(?i)notice.{0,12}privacy.{0,3}practices?|privacy.{0,3}practices|hipaa.{0,12}(notice|privacy|polic)|\bnpp\b`)

// notice looks for the Notice of Privacy Practices among the links of the pages.
func (s *scan) notice() Check {
	for _, p := range s.pages {
		for _, v := range p.visits {
			for _, l := range v.Links {
				if noticeWords.MatchString(l.Text) || noticeWords.MatchString(strings.NewReplacer("-", " ", "_", " ", "/", " ").Replace(l.URL)) {
					return Check{noticeCheck, Good, "A link to a Notice of Privacy Practices stands on " + p.URL + ".", ""}
				}
			}
		}
	}
	return Check{noticeCheck, Needs, "No link to a Notice of Privacy Practices was found on the pages that were opened.", "If your practice has to give one, post it where visitors find it; most put a link at the foot of every page."}
}

// certificate looks at the site's own protection on the way.
func (s *scan) certificate(ctx context.Context) Check {
	name := "certificate"
	var state tls.ConnectionState
	client := s.Net.Client(func(c tls.ConnectionState) error { state = c; return nil })
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, "https://"+s.start.Host+"/", nil)
	if err != nil {
		return Check{name, NotKnown, "The site’s certificate could not be looked at.", ""}
	}
	res, err := client.Do(req)
	if err != nil {
		return Check{name, Needs, "The site does not answer over https, so what visitors type can be read on the way.", "Ask your web host for a certificate; most give one for nothing."}
	}
	res.Body.Close()
	return judgeCertificate(state, s.start.Hostname(), s.Now())
}

func judgeCertificate(c tls.ConnectionState, host string, now time.Time) Check {
	name := "certificate"
	if len(c.PeerCertificates) == 0 {
		return Check{name, NotKnown, "The site’s certificate could not be looked at.", ""}
	}
	opts := x509.VerifyOptions{DNSName: host, CurrentTime: now, Intermediates: x509.NewCertPool()}
	for _, cert := range c.PeerCertificates[1:] {
		opts.Intermediates.AddCert(cert)
	}
	leaf := c.PeerCertificates[0]
	if _, err := leaf.Verify(opts); err != nil {
		return Check{name, Needs, "Browsers do not believe the site’s certificate: visitors see a warning.", "Ask your web host to renew it for " + host + "."}
	}
	if c.Version < tls.VersionTLS12 {
		return Check{name, Needs, "The site protects the way with an outdated method (older than TLS 1.2).", "Ask your web host to switch TLS 1.2 and 1.3 on."}
	}
	if left := leaf.NotAfter.Sub(now); left < 14*24*time.Hour {
		return Check{name, Needs, fmt.Sprintf("The site’s certificate ends on %s, in %s.", leaf.NotAfter.Format("January 2"), days(left)), "Ask your web host whether it renews by itself."}
	}
	return Check{name, Good, fmt.Sprintf("The site’s certificate is good until %s.", leaf.NotAfter.Format("January 2, 2006")), ""}
}

// plainHTTP looks whether who comes without protection is led to it.
func (s *scan) plainHTTP(ctx context.Context) Check {
	name, host := "https", s.start.Hostname()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/", nil)
	if err != nil {
		return Check{name, NotKnown, "", ""}
	}
	res, err := s.Net.Client(nil).Do(req)
	if err != nil {
		return Check{name, Good, "The site answers over https only.", ""}
	}
	defer res.Body.Close()
	if to, err := url.Parse(res.Header.Get("Location")); err == nil && res.StatusCode/100 == 3 && to.Scheme == "https" {
		return Check{name, Good, "Who comes by http is led to https.", ""}
	}
	return Check{name, Needs, "The site can be read without protection, by http.", "Ask your web host to lead all visitors to https."}
}

// siteHeaders are words with which a site makes browsers careful.
var siteHeaders = []struct{ header, missing string }{
	{"Strict-Transport-Security", "Browsers are not told to come by https only (Strict-Transport-Security)."},
	{"Content-Security-Policy", "Browsers are not told which scripts belong to the site (Content-Security-Policy)."},
	{"X-Content-Type-Options", "Browsers are not told to take files as what they are (X-Content-Type-Options)."},
	{"Referrer-Policy", "Browsers are not told to keep page addresses from others (Referrer-Policy)."},
}

func (s *scan) headers() []Check {
	if len(s.pages) == 0 || len(s.pages[0].visits) == 0 || s.pages[0].visits[0].Answer == nil {
		return nil
	}
	return judgeHeaders(s.pages[0].visits[0].Answer)
}

func judgeHeaders(h http.Header) []Check {
	var missing []string
	for _, w := range siteHeaders {
		if h.Get(w.header) == "" {
			missing = append(missing, w.missing)
		}
	}
	if h.Get("X-Frame-Options") == "" && !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors") {
		missing = append(missing, "Other sites may show yours inside of theirs (X-Frame-Options).")
	}
	if len(missing) == 0 {
		return []Check{{"headers", Good, "The site makes browsers careful with all five usual headers.", ""}}
	}
	return []Check{{"headers", Needs, strings.Join(missing, " "), "These are settings of the web server; your web person knows them."}}
}

// exposures are files that lie open on many sites by mistake. Each is asked for
// once, by GET, on the owner's own host, and only its first words are looked at.
var exposures = []struct {
	path, what string
	proof      *regexp.Regexp
}{
	{"/.git/HEAD", "the site’s source with its history", regexp.MustCompile(`^ref: refs/`)},
	{"/.env", "a file of settings, often with passwords", regexp.MustCompile(`(?m)^[A-Z][A-Z0-9_]+=\S`)},
	{"/wp-content/uploads/", "a list of all uploaded files", regexp.MustCompile(`(?i)<title>index of`)},
	{"/uploads/", "a list of all uploaded files", regexp.MustCompile(`(?i)<title>index of`)},
	{"/backup/", "a list of backups", regexp.MustCompile(`(?i)<title>index of`)},
	{"/backup.zip", "a backup", regexp.MustCompile(`^PK\x03\x04`)},
	{"/backup.sql", "a copy of a database", regexp.MustCompile(`(?i)(create table|insert into|mysqldump|postgresql database dump)`)},
	{"/wp-config.php.bak", "WordPress’s settings with its password", regexp.MustCompile(`DB_PASSWORD`)},
	{"/.DS_Store", "a list of files of somebody’s Mac", regexp.MustCompile(`^\x00\x00\x00\x01Bud1`)},
	{"/server-status", "what the web server is doing, with visitors’ addresses", regexp.MustCompile(`(?i)apache server status`)},
	{"/phpinfo.php", "all settings of the server", regexp.MustCompile(`(?i)<title>.{0,20}phpinfo`)},
}

func (s *scan) exposed(ctx context.Context) []Check {
	base := s.start.Scheme + "://" + s.start.Host
	var found []Check
	for _, x := range exposures {
		status, _, body, err := s.ask.get(ctx, base+x.path)
		if err == nil && status == http.StatusOK && x.proof.Match(body[:min(len(body), 4096)]) {
			found = append(found, Check{"open to everybody", Needs, "Everybody, search engines too, can open " + x.path + ": " + x.what + ".", "Have it taken away, and ask your web person who has opened it; passwords that stood there need to be changed."})
		}
		select {
		case <-ctx.Done():
			return found
		case <-time.After(100 * time.Millisecond):
		}
	}
	if len(found) == 0 {
		found = append(found, Check{"open to everybody", Good, fmt.Sprintf("None of the %d files that often lie open by mistake was found.", len(exposures)), ""})
	}
	return found
}

// policy reads the file of a domain's MTA-STS (RFC 8461 section 3.2).
func (s *scan) policy(ctx context.Context, domain string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return "", err
	}
	res, err := s.Net.Client(nil).Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the policy is not there: status %d", res.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	return string(b), err
}

// selectors are under which large mail providers keep their DKIM keys. A domain
// may use others: what is not found under these is not known.
var selectors = []string{"google", "selector1", "selector2", "default", "k1", "k2", "s1", "s2", "mail", "dkim", "protonmail", "fm1", "zoho", "mandrill", "pm"}

// mailChecks look at what a domain says about its mail: SPF (RFC 7208), DKIM (RFC
// 6376), DMARC (RFC 7489), MTA-STS (RFC 8461), TLS-RPT (RFC 8460).
func mailChecks(ctx context.Context, dns MailRecords, domain string, policy func(context.Context, string) (string, error)) []Check {
	mx, err := dns.MX(ctx, domain)
	if err != nil && !isNotThere(err) {
		return []Check{{"mail", NotKnown, "The mail records of " + domain + " could not be read.", ""}}
	}
	silent := map[string]bool{} // names of which the name system said nothing, not even no
	record := func(name, begins string) (string, bool) {
		texts, err := dns.TXT(ctx, name)
		if err != nil && !isNotThere(err) {
			silent[name] = true
		}
		i := slices.IndexFunc(texts, func(t string) bool { return strings.HasPrefix(strings.ToLower(t), begins) })
		if i < 0 {
			return "", false
		}
		return texts[i], true
	}
	all := []Check{}
	unheard := func(check, name string) bool {
		if silent[name] {
			all = append(all, Check{check, NotKnown, "The name system did not answer, so this is not known.", "It is asked again at the next scan."})
		}
		return silent[name]
	}
	if spf, ok := record(domain, "v=spf1"); !ok && unheard("mail: SPF", domain) {
	} else if !ok {
		all = append(all, Check{"mail: SPF", Needs, "The domain does not say who may send mail in its name (SPF).", "Whoever looks after your domain adds one line; your mail provider shows it."})
	} else if strings.Contains(spf, "+all") || strings.HasSuffix(spf, " all") || strings.Contains(spf, "?all") {
		all = append(all, Check{"mail: SPF", Needs, "The domain lets anybody send mail in its name (SPF ends in “all”).", "The line should end in -all or ~all."})
	} else {
		all = append(all, Check{"mail: SPF", Good, "The domain says who may send mail in its name (SPF).", ""})
	}
	if dmarc, ok := record("_dmarc."+domain, "v=dmarc1"); !ok && unheard("mail: DMARC", "_dmarc."+domain) {
	} else if !ok {
		all = append(all, Check{"mail: DMARC", Needs, "The domain does not say what to do with forged mail (DMARC).", "Begin with p=none and reports to an address of yours; after some weeks, p=quarantine."})
	} else if p := tagOf(dmarc, "p"); p == "none" || p == "" {
		all = append(all, Check{"mail: DMARC", Needs, "Forged mail in your name is counted, but let through (DMARC p=none).", "When the reports show only your own mail, change it to p=quarantine."})
	} else {
		all = append(all, Check{"mail: DMARC", Good, "Forged mail in your name is turned away (DMARC p=" + p + ").", ""})
	}
	dkim := slices.ContainsFunc(selectors, func(sel string) bool {
		texts, _ := dns.TXT(ctx, sel+"._domainkey."+domain)
		return slices.ContainsFunc(texts, func(t string) bool { return tagOf(t, "p") != "" }) // RFC 6376 3.6.1; an empty p= was withdrawn
	})
	if dkim {
		all = append(all, Check{"mail: DKIM", Good, "Your mail carries a signature of the domain (DKIM).", ""})
	} else {
		all = append(all, Check{"mail: DKIM", NotKnown, "No key for signatures (DKIM) was found under the usual names; it may have another.", "Ask your mail provider whether DKIM is on."})
	}
	if len(mx) == 0 {
		return append(all, Check{"mail: on the way", NotKnown, "The domain takes no mail, so its protection on the way was not looked at.", ""})
	}
	if _, ok := record("_mta-sts."+domain, "v=stsv1"); !ok && unheard("mail: MTA-STS", "_mta-sts."+domain) {
	} else if !ok {
		all = append(all, Check{"mail: MTA-STS", Needs, "Mail to you may be sent without protection on the way (no MTA-STS).", "Ask whoever looks after your domain; it is a line and a small file."})
	} else if text, err := policy(ctx, domain); err != nil || !strings.Contains(text, "mode: enforce") {
		all = append(all, Check{"mail: MTA-STS", Needs, "MTA-STS is announced, but it does not insist yet.", "The file should say “mode: enforce”."})
	} else {
		all = append(all, Check{"mail: MTA-STS", Good, "Mail to you has to be protected on the way (MTA-STS).", ""})
	}
	if _, ok := record("_smtp._tls."+domain, "v=tlsrptv1"); !ok && unheard("mail: TLS-RPT", "_smtp._tls."+domain) {
	} else if ok {
		all = append(all, Check{"mail: TLS-RPT", Good, "You are told when mail could not be protected on the way (TLS-RPT).", ""})
	} else {
		all = append(all, Check{"mail: TLS-RPT", Needs, "Nobody tells you when mail could not be protected on the way (no TLS-RPT).", "One line, with an address of yours for the reports."})
	}
	return all
}

func isNotThere(err error) bool {
	d, ok := errors.AsType[*net.DNSError](err)
	return ok && d.IsNotFound
}

// tagOf reads one value of "v=DMARC1; p=none; rua=...".
func tagOf(record, name string) string {
	for part := range strings.SplitSeq(record, ";") {
		if k, v, ok := strings.Cut(strings.TrimSpace(part), "="); ok && strings.EqualFold(strings.TrimSpace(k), name) {
			return strings.ToLower(strings.TrimSpace(v))
		}
	}
	return ""
}
