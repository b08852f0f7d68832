package mail_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/mail"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// postfix is a real Postfix of this test's own, in a directory of its own, on
// free ports of this machine. It puts everything it takes into one maildir.
type postfix struct {
	t     testing.TB
	dir   string
	roots *x509.CertPool
	port  map[string]int // "starttls", "tls", "none", "old", "other-name", "plain"
}

const (
	program = "/usr/sbin/postfix"
	sink    = "/usr/sbin/smtp-sink"
)

// needs skips a test without an engine, and fails it where CI is 1.
func needs(t testing.TB, engines ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a mail server: skipped under -short")
	}
	for _, e := range engines {
		if _, err := os.Stat(e); err == nil && os.Geteuid() == 0 {
			continue
		}
		if os.Getenv("CI") == "1" {
			t.Fatalf("%s is missing, or may not be started; run scripts/deps as root", e)
		}
		t.Skipf("%s is missing, or may not be started: run scripts/deps as root", e)
	}
}

func newPostfix(t testing.TB) *postfix {
	t.Helper()
	needs(t, program)
	dir, err := os.MkdirTemp("", "quietroom-postfix-")
	if err != nil {
		t.Fatal(err)
	}
	p := &postfix{t: t, dir: dir, port: map[string]int{}}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.run("stop")
		os.RemoveAll(dir)
	})
	p.certificates()
	for _, name := range []string{"starttls", "tls", "none", "old", "other-name", "plain"} {
		p.port[name] = freePort(t)
	}
	owner := p.folders()
	p.write("main.cf", fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.practice.example
mydestination =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
maillog_file = %[1]s/log/mail.log
maillog_file_prefixes = %[1]s
default_process_limit = 20
virtual_mailbox_domains = practice.example, elsewhere.example
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = static:all/
virtual_minimum_uid = 1
virtual_uid_maps = static:%[2]s
virtual_gid_maps = static:%[3]s
smtpd_recipient_restrictions = check_recipient_access texthash:%[1]s/recipients, permit_mynetworks, reject
smtpd_tls_CAfile = %[1]s/ca.pem
smtpd_tls_cert_file = %[1]s/right.pem
smtpd_tls_security_level = encrypt
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
`, dir, owner.Uid, owner.Gid))
	p.write("recipients", "")
	p.write("master.cf", fmt.Sprintf(`127.0.0.1:%d inet n - n - - smtpd
127.0.0.1:%d inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
127.0.0.1:%d inet n - n - - smtpd
  -o smtpd_tls_security_level=none
127.0.0.1:%d inet n - n - - smtpd
  -o smtpd_tls_mandatory_protocols=<=TLSv1.1
127.0.0.1:%d inet n - n - - smtpd
  -o smtpd_tls_cert_file=%s/wrong.pem
127.0.0.1:%d inet n - n - - smtpd
  -o smtpd_tls_security_level=none
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
postlog unix-dgram n - n - 1 postlogd
showq unix n - n - - showq
flush unix n - n 1000? 0 flush
pickup unix n - n 60 1 pickup
`, p.port["starttls"], p.port["tls"], p.port["none"], p.port["old"], p.port["other-name"], dir, p.port["plain"]))
	p.start()
	return p
}

func (p *postfix) folders() *user.User {
	owner, err := user.Lookup("postfix")
	if err != nil {
		p.t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"queue": 0o755, "data": 0o700, "log": 0o755, "mail": 0o755} {
		if err := os.Mkdir(filepath.Join(p.dir, name), mode); err != nil {
			p.t.Fatal(err)
		}
	}
	for _, name := range []string{"data", "mail"} {
		if out, err := exec.Command("chown", "postfix:postfix", filepath.Join(p.dir, name)).CombinedOutput(); err != nil {
			p.t.Fatalf("%s: %v", out, err)
		}
	}
	return owner
}

func (p *postfix) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *postfix) run(act string) ([]byte, error) {
	return exec.Command(program, "-c", p.dir, act).CombinedOutput()
}

// start starts it, and waits until each of its doors answers.
func (p *postfix) start() {
	p.t.Helper()
	if out, err := p.run("start"); err != nil {
		p.t.Fatalf("start Postfix: %v\n%s\n%s", err, out, p.log())
	}
	for name, port := range p.port {
		p.answers(name, port)
	}
}

func (p *postfix) answers(name string, port int) {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("Postfix does not answer at %s: %v\n%s", name, err, p.log())
		}
	}
}

func (p *postfix) stop() {
	p.t.Helper()
	if out, err := p.run("stop"); err != nil {
		p.t.Fatalf("stop Postfix: %v\n%s", err, out)
	}
}

// answer has it say something to an address from now on: "550 5.1.1 no such user".
func (p *postfix) answer(address, says string) {
	p.t.Helper()
	text := ""
	if says != "" {
		text = address + " " + says + "\n"
	}
	p.write("recipients", text)
	p.stop()
	p.start()
}

func (p *postfix) log() string {
	text, _ := os.ReadFile(filepath.Join(p.dir, "log", "mail.log"))
	return string(text)
}

// mail waits until so many messages have arrived, and returns all of them.
func (p *postfix) mail(want int) (all []*mail.Message) {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		files, _ := filepath.Glob(filepath.Join(p.dir, "mail", "all", "new", "*"))
		if len(files) < want && time.Now().Before(deadline) {
			continue
		}
		if len(files) < want {
			p.t.Fatalf("%d messages arrived, want %d:\n%s", len(files), want, p.log())
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				p.t.Fatal(err)
			}
			m, err := mail.ReadMessage(bytes.NewReader(text))
			if err != nil {
				p.t.Fatalf("what arrived is no message: %v\n%s", err, text)
			}
			all = append(all, m)
		}
		return all
	}
}

// none fails if Postfix has taken any message, by its own account.
func (p *postfix) none() {
	p.t.Helper()
	if strings.Contains(p.log(), "message-id=") {
		p.t.Errorf("Postfix took a message:\n%s", p.log())
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// certificates makes an authority, a certificate for localhost and one for
// another name.
func (p *postfix) certificates() {
	p.t.Helper()
	ca := newAuthority(p.t)
	p.roots = ca.pool
	p.write("ca.pem", string(ca.pem))
	p.write("right.pem", string(ca.issue("localhost", time.Now().Add(24*time.Hour))))
	p.write("wrong.pem", string(ca.issue("mail.elsewhere.example", time.Now().Add(24*time.Hour))))
}

type authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "A test’s own authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pool: x509.NewCertPool()}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

// issue returns key and certificate for a name in one PEM text.
func (a *authority) issue(name string, until time.Time) []byte {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{name}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
}
