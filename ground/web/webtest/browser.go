// Package webtest lets a test sit at a browser as a person would: at phone and
// desktop width, in light and dark, with a passkey or without, on a network
// that breaks. It is for tests only.
package webtest

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Tab is one tab of a browser. Its methods end the test when something fails.
// For what they do not offer, hand its Context to chromedp.Do and chromedp.Run.
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu         sync.Mutex
	complaints []string
}

// Browser starts a Chromium of its own and opens a tab. The test is skipped
// under -short, and where there is no Chromium unless CI=1.
func Browser(t testing.TB) *Tab {
	t.Helper()
	return browser(t)
}

// BrowserWith is Browser with features of Chromium that are off by default. It
// believes one certificate: that of the test's own server.
func BrowserWith(t testing.TB, server *x509.Certificate, features ...string) *Tab {
	t.Helper()
	key := sha256.Sum256(server.RawSubjectPublicKeyInfo)
	return browser(t, chromedp.Flag("enable-features", strings.Join(features, ",")),
		chromedp.Flag("ignore-certificate-errors-spki-list", base64.StdEncoding.EncodeToString(key[:])))
}

func browser(t testing.TB, more ...chromedp.ExecAllocatorOption) *Tab {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser test: skipped under -short")
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(flags(program(t), t.TempDir()), more...)...)
	t.Cleanup(cancel)
	return open(t, ctx)
}

// Another opens a tab of another person: the same browser, other cookies.
func (b *Tab) Another() *Tab {
	b.t.Helper()
	return open(b.t, b.ctx, chromedp.WithNewBrowserContext())
}

func open(t testing.TB, parent context.Context, opts ...chromedp.ContextOption) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, opts...)
	t.Cleanup(cancel)
	b := &Tab{t: t, ctx: ctx}
	b.do("start the browser") // no timeout: the first start may wait for a busy machine
	b.listen()
	return b
}

// program finds Chromium.
func program(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "1" {
		t.Fatal("no Chromium on this machine: run make deps")
	}
	t.Skip("no Chromium on this machine: run make deps")
	return ""
}

// flags keep the browser from talking to anybody but the test.
func flags(path, dir string) []chromedp.ExecAllocatorOption {
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(dir), chromedp.NoSandbox, chromedp.DisableGPU)
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "disable-domain-reliability"} {
		opts = append(opts, chromedp.Flag(flag, true))
	}
	return opts
}

// Serve serves h on localhost, where a browser allows passkeys and Secure
// cookies without a certificate, and returns its address.
func Serve(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "http://localhost:" + port
}

// Context is the tab, for chromedp.Do and chromedp.Run.
func (b *Tab) Context() context.Context { return b.ctx }

// Go goes to a page and waits until it has loaded.
func (b *Tab) Go(url string) {
	b.t.Helper()
	b.do("go to a page", chromedp.Navigate(url))
}

// Click clicks the first element that fits the CSS selector.
func (b *Tab) Click(css string) {
	b.t.Helper()
	b.do("click "+css, chromedp.Click(chromedp.CSS(css)))
}

// Type types into the first element that fits the CSS selector.
func (b *Tab) Type(css, text string) {
	b.t.Helper()
	b.do("type into "+css, chromedp.SendKeys(chromedp.CSS(css), text))
}

// See waits until the first element that fits the CSS selector is visible, and
// returns its text.
func (b *Tab) See(css string) string {
	b.t.Helper()
	text, err := chromedp.Run(b.ctx, chromedp.Text(chromedp.CSS(css), chromedp.NodeVisible))
	if err != nil {
		b.t.Fatalf("see %s: %v", css, err)
	}
	return text
}

// Path is where the tab is, without host.
func (b *Tab) Path() string {
	b.t.Helper()
	return Eval[string](b, "location.pathname")
}

// Arrive waits until the tab has gone to another page and that has loaded.
func (b *Tab) Arrive(path string) {
	b.t.Helper()
	at := ""
	for range 500 {
		// While a page goes away there is nobody to ask: ask the next one.
		there, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.readyState === 'complete' ? location.pathname : ''"))
		if err == nil && there == path {
			return
		}
		if err == nil {
			at = there
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.t.Fatalf("the tab is at %q and did not arrive at %s", at, path)
}

// Eval runs a script in the tab, as the developer tools would, waits for its
// promise, and returns its value.
func Eval[T any](b *Tab, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("run a script: %v", err)
	}
	return v
}

// Width makes the window that many pixels wide: 390 is a phone, 1280 a desk.
func (b *Tab) Width(px int) {
	b.t.Helper()
	b.do("set the width", b.window(int64(px), 844))
}

// Dark switches between light and dark.
func (b *Tab) Dark(on bool) {
	b.t.Helper()
	scheme := "light"
	if on {
		scheme = "dark"
	}
	b.media(&emulation.MediaFeature{Name: "prefers-color-scheme", Value: scheme}, &emulation.MediaFeature{Name: "prefers-reduced-motion", Value: "reduce"})
}

// ForcedColors switches the high-contrast colours of Windows on or off.
func (b *Tab) ForcedColors(on bool) {
	b.t.Helper()
	value := "none"
	if on {
		value = "active"
	}
	b.media(&emulation.MediaFeature{Name: "forced-colors", Value: value})
}

func (b *Tab) media(features ...*emulation.MediaFeature) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		b.t.Fatalf("emulate media: %v", err)
	}
}

// Offline cuts the tab's network, or mends it.
func (b *Tab) Offline(on bool) {
	b.t.Helper()
	conditions := []*network.Conditions{}
	if on {
		conditions = append(conditions, &network.Conditions{Offline: true, DownloadThroughput: -1, UploadThroughput: -1})
	}
	if _, err := chromedp.Call(b.ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: conditions}); err != nil {
		b.t.Fatalf("cut the network: %v", err)
	}
}

// Screenshot writes the whole page as a PNG. The window is made as tall as the
// page first: what sticks to its lower edge is then seen there.
func (b *Tab) Screenshot(path string) {
	b.t.Helper()
	size := Eval[[]int64](b, "[innerWidth, innerHeight, document.documentElement.scrollHeight]")
	b.do("stretch the window", b.window(size[0], size[2]))
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatalf("take a picture: %v", err)
	}
	b.do("shrink the window", b.window(size[0], size[1]))
	if err := os.WriteFile(path, png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// window makes the window that large; a narrow one is a phone's.
func (b *Tab) window(wide, tall int64) chromedp.Action[chromedp.Void] {
	if wide < 768 {
		return chromedp.EmulateViewport(wide, tall, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	return chromedp.EmulateViewport(wide, tall)
}

func (b *Tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// listen collects what the browser complains about: policy violations, scripts
// that broke, and requests that left this machine.
func (b *Tab) listen() {
	b.t.Helper()
	issues := chromedp.Events(b.ctx, audits.IssueAdded)
	broken := chromedp.Events(b.ctx, runtime.ExceptionThrown)
	requests := chromedp.Events(b.ctx, network.RequestWillBeSent)
	if _, err := chromedp.Call(b.ctx, audits.Enable, cdp.Empty{}); err != nil {
		b.t.Fatalf("listen for complaints: %v", err)
	}
	go hear(issues, func(e audits.EventIssueAdded) {
		if d := e.Issue.Details.ContentSecurityPolicyIssueDetails; d != nil {
			b.complain(fmt.Sprintf("policy: %s %s %s", d.ViolatedDirective, d.ContentSecurityPolicyViolationType, where(d)))
		}
	})
	go hear(broken, func(e runtime.EventExceptionThrown) {
		text := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			text += " " + x.Description
		}
		b.complain("script: " + text)
	})
	go hear(requests, func(e network.EventRequestWillBeSent) {
		if u, err := url.Parse(e.Request.URL); err != nil || outside(u) {
			b.complain("outside request: " + e.Request.URL)
		}
	})
}

func hear[E any](events func(func(E, error) bool), each func(E)) {
	for e, err := range events {
		if err != nil {
			return // the tab is closed
		}
		each(e)
	}
}

func where(d *audits.ContentSecurityPolicyIssueDetails) string {
	if l := d.SourceCodeLocation; l != nil {
		return fmt.Sprintf("%s %s:%d", d.BlockedURL, l.URL, l.LineNumber)
	}
	return d.BlockedURL
}

func outside(u *url.URL) bool {
	switch u.Scheme {
	case "data", "blob", "about", "chrome", "devtools":
		return false
	}
	host := u.Hostname()
	return host != "localhost" && !strings.HasPrefix(host, "127.") && host != "::1"
}

func (b *Tab) complain(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = append(b.complaints, what)
}

// Complaints returns what the browser complained about since the last call.
func (b *Tab) Complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	said := b.complaints
	b.complaints = nil
	return said
}

// Calm fails the test if the browser complained: a policy violation, a broken
// script, a request to another machine.
func (b *Tab) Calm() {
	b.t.Helper()
	for range 250 { // let late complaints arrive; while a page goes away there is nobody to ask
		if _, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("new Promise(r => setTimeout(() => r(true), 50))", chromedp.EvalAwaitPromise)); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	for _, said := range b.Complaints() {
		b.t.Errorf("the browser complains at %s: %s", b.Path(), said)
	}
}
