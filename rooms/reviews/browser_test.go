package reviews_test

import (
	"context"
	"os"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"quietroom/ground/web"
	"quietroom/ground/web/webtest"
)

// pictures is where the tests leave screenshots for a person to look at, if set.
var pictures = os.Getenv("QUIETROOM_PICTURES")

func TestReviewsLookRightInABrowser(t *testing.T) {
	tab := webtest.Browser(t)
	p := newPractice(t)
	p.answerAll("unsure")
	p.post("/reviews/risk/parts/where", "place.ehr", "used", "place.ehr.note", "SimplePractice")
	p.post("/reviews/vendors", "name", "SimplePractice", "holds", "records")
	url := webtest.Serve(t, p.mux)
	err := chromedp.Do(tab.Context(), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{
			URL: url, Name: web.SessionCookie, Value: "x", Path: "/", Secure: new(true), HTTPOnly: new(true), SameSite: network.CookieSameSiteStrict,
		})
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	tab.EveryWay(url+"/reviews", "reviews", pictures)
	tab.EveryWay(url+"/reviews/risk", "reviews-risk", pictures)
	tab.EveryWay(url+"/reviews/vendors", "reviews-vendors", pictures)
	tab.EveryWay(url+"/reviews/papers", "reviews-papers", pictures)
	tab.EveryWay(url+"/reviews/papers/notice", "reviews-paper", pictures)
	tab.EveryWay(url+"/reviews/do/monthly", "reviews-review", pictures)
}
