package chrome

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"sync"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// binding is a name that no page guesses: by it hook.js and the scan speak.
var binding = "_" + rand.Text()

// listen hears what the browser itself records.
func (t *tab) listen() (stop func()) {
	calls := chromedp.Events(t.ctx, runtime.BindingCalled)
	requests := chromedp.Events(t.ctx, network.RequestWillBeSent)
	dialogs := chromedp.Events(t.ctx, page.JavascriptDialogOpening)
	windows := chromedp.BrowserEvents(t.ctx, target.TargetCreated)
	var wg sync.WaitGroup
	wg.Go(func() {
		for e, err := range calls {
			if err != nil {
				return
			}
			var c struct {
				What, More, At string
				Chain          []string
			}
			if e.Name == binding && json.Unmarshal([]byte(e.Payload), &c) == nil {
				t.mu.Lock()
				if len(t.v.Calls) < 500 {
					t.v.Calls = append(t.v.Calls, Call(struct {
						What, More string
						Chain      []string
						At         string
					}{c.What, c.More, c.Chain, c.At}))
				}
				t.mu.Unlock()
			}
		}
	})
	wg.Go(func() {
		for e, err := range requests {
			if err != nil {
				return
			}
			var body []byte
			for _, p := range e.Request.PostDataEntries {
				body = append(body, p.Bytes...)
			}
			t.mu.Lock()
			if len(t.v.Order) < 5000 {
				t.v.Order = append(t.v.Order, Ident(e.Request.Method, e.Request.URL, body))
			}
			if len(t.v.Chains) < 2000 {
				t.v.Chains[e.Request.Method+" "+e.Request.URL] = chainOf(e.Initiator)
			}
			t.mu.Unlock()
		}
	})
	wg.Go(func() {
		for _, err := range dialogs {
			if err != nil {
				return
			}
			_, _ = chromedp.Call(t.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
		}
	})
	wg.Go(func() {
		for e, err := range windows {
			if err != nil {
				return
			}
			if e.TargetInfo.Type != "page" || e.TargetInfo.OpenerID == "" {
				continue
			}
			t.mu.Lock()
			t.v.Windows++
			many := t.v.Windows > 5
			t.mu.Unlock()
			wg.Go(func() { // the first may show what they send
				if !many {
					sleep(t.ctx, time.Second)
				}
				_, _ = chromedp.CallBrowser(t.b.run, target.CloseTarget, target.CloseTargetParams{TargetID: e.TargetInfo.TargetID})
			})
		}
	})
	return func() {
		// The iterators end when the context does; Visit ends it right after.
		go wg.Wait()
	}
}

// Ident names a request by what it says: so the order in which a page made its
// requests is known, where they left by several connections.
func Ident(method, address string, body []byte) string {
	sum := sha256.Sum256(body)
	return method + " " + address + " " + string(sum[:8])
}

// chainOf are the scripts that led to a request, the nearest first.
func chainOf(i *network.Initiator) []string {
	if i == nil {
		return nil
	}
	var all []string
	add := func(u string) {
		if u != "" && (len(all) == 0 || all[len(all)-1] != u) && len(all) < 8 {
			all = append(all, u)
		}
	}
	for s := i.Stack; s != nil; s = s.Parent {
		for _, f := range s.CallFrames {
			add(f.URL)
		}
	}
	add(i.URL)
	return all
}
