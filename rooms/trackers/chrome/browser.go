// Package chrome drives Debian's Chromium as a patient would use it, and writes
// down what leaves.
//
// Two things watch at the same time: a recording proxy, through which all that
// the browser sends has to go, and the browser's own record, which knows what
// script sent it. The browser has its sandbox, a throw-away profile and, where
// the program runs as root, a user of its own; it reaches neither this machine
// nor its network. What a page sends by WebRTC's own packets does not pass the
// proxy and is switched off.
package chrome

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// Errors of a browser that cannot be used. Their texts say what to do.
var (
	ErrMissing = errors.New("no Chromium on this machine; install Debian's package: apt-get install chromium")
	ErrOld     = errors.New("the Chromium on this machine is too old; update it: apt-get install --only-upgrade chromium")
	ErrSandbox = errors.New("the sandbox of Chromium cannot start here; allow user namespaces on this machine, or do not run as root inside a container that forbids them")
)

// oldest is the first version that was tried with this driver.
const oldest = 120

// Config is what a browser needs.
type Config struct {
	Dir       string // an empty directory for the profile; its parents let other users pass
	Net       Network
	Now       func() time.Time       // time.Now if nil
	Own       func(host string) bool // the owner's own hosts
	Unguarded bool                   // the sandbox may be left out where it cannot start
	MostBytes uint64                 // memory of the browser with all its processes; 600 MB if zero
}

// Browser is one Chromium and its proxy.
type Browser struct {
	conf    Config
	Version string // "156.0.8078.79"
	Sandbox bool
	agent   string
	path    string
	proxy   *Proxy
	marks   marks // what was typed, for what must not be sent

	run     context.Context
	stop    context.CancelFunc
	minds   [2]cdp.BrowserContextID // before the question about cookies, and after
	visits  int
	slow    float64 // by how much this machine is slower than one that starts a browser at once; 1 to 4
	allowed bool    // the second mind said yes to a question about cookies
	starts  int
	guard   *watch
}

// Find returns the program and its version, or ErrMissing or ErrOld.
func Find(ctx context.Context) (path, version string, err error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err = exec.LookPath(name); err == nil {
			break
		}
	}
	if err != nil {
		return "", "", ErrMissing
	}
	asked, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(asked, path, "--version").Output()
	if err != nil {
		return "", "", fmt.Errorf("ask %s for its version: %w", path, err)
	}
	version = regexp.MustCompile(`\d+(\.\d+)+`).FindString(string(out))
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < oldest {
		return "", "", ErrOld
	}
	return path, version, nil
}

// Open starts the proxy and the browser. Close ends both.
func Open(ctx context.Context, c Config) (*Browser, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Own == nil {
		c.Own = func(string) bool { return false }
	}
	if c.MostBytes == 0 {
		c.MostBytes = 600 << 20
	}
	b := &Browser{conf: c}
	var err error
	if b.path, b.Version, err = Find(ctx); err != nil {
		return nil, err
	}
	major, _, _ := strings.Cut(b.Version, ".")
	b.agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/" + major + ".0.0.0 Safari/537.36"
	if b.proxy, err = newProxy(c.Net, c.Now, c.Own, b.sends); err != nil {
		return nil, err
	}
	if err := b.start(ctx); err != nil {
		b.proxy.close()
		return nil, err
	}
	return b, nil
}

// start starts Chromium, with its sandbox if it can.
func (b *Browser) start(ctx context.Context) error {
	b.Sandbox = true
	err := b.launch(ctx)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if !strings.Contains(strings.ToLower(err.Error()), "sandbox") && !strings.Contains(err.Error(), "namespace") {
		return fmt.Errorf("start Chromium: %w", err)
	}
	if !b.conf.Unguarded || os.Geteuid() != 0 {
		return ErrSandbox
	}
	b.Sandbox = false
	return b.launch(ctx)
}

func (b *Browser) launch(ctx context.Context) error {
	b.starts++
	dir := filepath.Join(b.conf.Dir, "profile-"+strconv.Itoa(b.starts))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := giveAway(b.conf.Dir, dir); err != nil {
		return fmt.Errorf("hand the profile to the browser's own user: %w", err)
	}
	run, stop := chromedp.NewExecAllocator(context.WithoutCancel(ctx), b.options(dir)...)
	tab, _ := chromedp.NewContext(run)
	begun, since := make(chan error, 1), time.Now()
	go func() { begun <- chromedp.Do(tab) }() // no timeout on the first: it would end the browser
	select {
	case err := <-begun:
		if err != nil {
			stop()
			return err
		}
	case <-ctx.Done():
		stop()
		return ctx.Err()
	case <-time.After(60 * time.Second):
		stop()
		return errors.New("the browser did not start within a minute")
	}
	b.run, b.stop = tab, stop
	b.slow = min(max(time.Since(since).Seconds()/4, 1), 3)
	b.guard = guardMemory(tab, b.conf.MostBytes)
	_, _ = chromedp.CallBrowser(tab, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorDeny})
	for i := range b.minds {
		res, err := chromedp.CallBrowser(tab, target.CreateBrowserContext, target.CreateBrowserContextParams{})
		if err != nil {
			b.end()
			return fmt.Errorf("make a clean browser: %w", err)
		}
		b.minds[i] = res.BrowserContextID
		_, _ = chromedp.CallBrowser(tab, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorDeny, BrowserContextID: res.BrowserContextID})
	}
	return nil
}

// options keep the browser to itself and to the page: it asks its maker nothing,
// and all of a page's frames live in few processes, so that the scan sees into
// them and stays small.
func (b *Browser) options(dir string) []chromedp.ExecAllocatorOption {
	flags := map[string]any{
		"headless": "new", "disable-gpu": true, "no-first-run": true, "allow-browser-signin": "false", "no-default-browser-check": true, "mute-audio": true, "disable-popup-blocking": true, "hide-scrollbars": true,
		"disable-background-networking": true, "disable-component-update": true, "disable-sync": true, "disable-domain-reliability": true, "disable-default-apps": true,
		"disable-extensions": true, "disable-client-side-phishing-detection": true, "disable-quic": true, "disable-breakpad": true, "disable-dev-shm-usage": false,
		"metrics-recording-only": true, "password-store": "basic", "use-mock-keychain": true, "deny-permission-prompts": true,
		"disable-backgrounding-occluded-windows": true, "disable-renderer-backgrounding": true, "disable-background-timer-throttling": true,
		"disable-site-isolation-trials": true, "renderer-process-limit": "2", "js-flags": "--max-old-space-size=160",
		"disable-features":                "Translate,OptimizationHints,MediaRouter,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,IsolateOrigins,site-per-process,AcceptCHFrame,InterestFeedContentSuggestions,CertificateTransparencyComponentUpdater",
		"force-webrtc-ip-handling-policy": "disable_non_proxied_udp", "disable-blink-features": "AutomationControlled",
		"proxy-server": "http://" + b.proxy.address(), "proxy-bypass-list": "<-loopback>", "ignore-certificate-errors-spki-list": b.proxy.ca.pin,
		"user-agent": b.agent, "window-size": "1280,900", "lang": "en-US",
		"no-sandbox": !b.Sandbox, // false, said aloud: chromedp would leave it out for root
	}
	opts := []chromedp.ExecAllocatorOption{chromedp.ExecPath(b.path), chromedp.UserDataDir(dir), chromedp.NoInheritEnv,
		chromedp.Env("HOME="+dir, "TMPDIR="+dir, "PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir), chromedp.ModifyCmdFunc(ownUser)}
	for name, value := range flags {
		opts = append(opts, chromedp.Flag(name, value))
	}
	return opts
}

// end kills the browser; its profile goes with Close.
func (b *Browser) end() {
	if b.guard != nil {
		b.guard.stop()
	}
	if b.stop != nil {
		b.stop()
		b.stop = nil
	}
}

// restart begins anew after a page took the browser with it.
func (b *Browser) restart(ctx context.Context) error {
	b.end()
	b.allowed = false
	return b.start(ctx)
}

// Close ends browser and proxy and removes the profile.
func (b *Browser) Close() error {
	b.end()
	b.proxy.close()
	var errs []error
	for n := 1; n <= b.starts; n++ {
		errs = append(errs, removeAll(filepath.Join(b.conf.Dir, "profile-"+strconv.Itoa(n))))
	}
	return errors.Join(errs...)
}

// removeAll tries again where a child that is going still writes.
func removeAll(dir string) (err error) {
	for range 50 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// Peak is how much memory the browser took at most, with all its processes, in
// bytes; 0 where the system does not say.
func (b *Browser) Peak() uint64 { return b.guard.highest() }

// Exchanges are all requests that left the browser so far.
func (b *Browser) Exchanges() []Exchange { return b.proxy.since(0) }

// Certificates tells of hosts whose certificate a browser would not take.
func (b *Browser) Certificates() map[string]string {
	b.proxy.mu.Lock()
	defer b.proxy.mu.Unlock()
	all := map[string]string{}
	for host, wrong := range b.proxy.certs {
		all[host] = wrong
	}
	return all
}

// Cookie is one that a site left in the browser.
type Cookie struct {
	Name, Value, Domain, Path string
	Expires                   time.Time // zero: until the browser is closed
	HTTPOnly, Secure          bool
	SameSite                  string
}

// cookies are those of all sites in one of the two minds.
func (b *Browser) cookies(mind int) []Cookie {
	res, err := chromedp.CallBrowser(b.run, storage.GetCookies, storage.GetCookiesParams{BrowserContextID: b.minds[mind]})
	if err != nil {
		return nil
	}
	var all []Cookie
	for _, c := range res.Cookies {
		one := Cookie{Name: c.Name, Value: c.Value, Domain: c.Domain, Path: c.Path, HTTPOnly: c.HTTPOnly, Secure: c.Secure, SameSite: string(c.SameSite)}
		if !c.Session && c.Expires > 0 {
			one.Expires = time.Unix(int64(c.Expires), 0)
		}
		all = append(all, one)
	}
	return all
}
