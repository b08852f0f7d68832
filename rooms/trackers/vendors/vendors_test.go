package vendors_test

import (
	"net/url"
	"testing"

	"quietroom/rooms/trackers/leak"
	"quietroom/rooms/trackers/vendors"
)

func TestTheTrackersOfTheCasesAreNamed(t *testing.T) {
	for address, want := range map[string]string{
		"https://www.facebook.com/tr?id=1&ev=PageView":                       "Meta (Facebook)",
		"https://connect.facebook.net/en_US/fbevents.js":                     "Meta (Facebook)",
		"https://region1.google-analytics.com/g/collect?v=2":                 "Google Analytics",
		"https://googleads.g.doubleclick.net/pagead/viewthroughconversion/1": "Google Ads",
		"https://www.google.com/pagead/1p-conversion/1":                      "Google Ads",
		"https://www.google.com/recaptcha/api.js":                            "Google reCAPTCHA",
		"https://www.googletagmanager.com/gtm.js?id=GTM-1":                   "Google Tag Manager",
		"https://analytics.tiktok.com/api/v2/pixel":                          "TikTok",
		"https://px.ads.linkedin.com/collect?pid=1":                          "LinkedIn",
		"https://snap.licdn.com/li.lms-analytics/insight.min.js":             "LinkedIn",
		"https://tr.snapchat.com/p":                                          "Snapchat",
		"https://sc-static.net/scevent.min.js":                               "Snapchat",
		"https://ct.pinterest.com/v3/?event=pagevisit":                       "Pinterest",
		"https://analytics.twitter.com/i/adsct":                              "X (Twitter)",
		"https://alb.reddit.com/rp.gif":                                      "Reddit",
		"https://bat.bing.com/action/0":                                      "Microsoft Advertising (Bing)",
		"https://w.clarity.ms/collect":                                       "Microsoft Clarity",
		"https://static.hotjar.com/c/hotjar-1.js":                            "Hotjar",
		"https://rs.fullstory.com/rec/bundle":                                "FullStory",
		"https://r.lr-in-prod.com/i":                                         "LogRocket",
		"https://o2.mouseflow.com/rec":                                       "Mouseflow",
		"https://api.segment.io/v1/t":                                        "Twilio Segment",
		"https://api-js.mixpanel.com/track":                                  "Mixpanel",
		"https://api2.amplitude.com/2/httpapi":                               "Amplitude",
		"https://track.hubspot.com/__ptq.gif":                                "HubSpot",
		"https://sslwidget.criteo.com/event":                                 "Criteo",
		"https://trc.taboola.com/x":                                          "Taboola",
		"https://cdnjs.cloudflare.com/ajax/libs/x.js":                        "Cloudflare CDN",
		"https://nobody-knows.example/x":                                     "",
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := vendors.Of(u); got.Name != want {
			t.Errorf("%s is called %q, want %q", address, got.Name, want)
		}
	}
}

func TestWhatATrackerIsToldIsRead(t *testing.T) {
	for address, want := range map[string]vendors.Fact{
		"https://www.facebook.com/tr?id=1&ev=Lead&cd%5Bcondition%5D=anxiety":  {Means: "details of the event", Key: "cd[condition]", Value: "anxiety"},
		"https://www.facebook.com/tr?ud%5Bem%5D=abc":                          {Means: "e-mail address", Key: "ud[em]", Value: "abc"},
		"https://www.google-analytics.com/g/collect?ep.clinician=Dr.%20Who":   {Means: "details of the event", Key: "ep.clinician", Value: "Dr. Who"},
		"https://tr.snapchat.com/p?u_hem=abc":                                 {Means: "e-mail address", Key: "u_hem", Value: "abc"},
		"https://px.ads.linkedin.com/collect?url=https%3A%2F%2Fx.example%2Fa": {Means: "page address", Key: "url", Value: "https://x.example/a"},
		"https://bat.bing.com/action/0?tl=Anxiety":                            {Means: "page title", Key: "tl", Value: "Anxiety"},
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, f := range vendors.Of(u).Decode(leak.Parts(u, "", nil)) {
			found = found || f == want
		}
		if !found {
			t.Errorf("%s: %+v was not read", address, want)
		}
	}
}

func TestATrackerIsKnownByItsLanguageOnAnotherHost(t *testing.T) {
	u, _ := url.Parse("https://metrics.practice.example/g/collect?v=2&tid=G-1&dl=x")
	if got := vendors.Speaks(u, leak.Parts(u, "", nil)); got.Name != "Google Analytics" {
		t.Errorf("it is called %q", got.Name)
	}
	u, _ = url.Parse("https://practice.example/collect?v=2")
	if got := vendors.Speaks(u, leak.Parts(u, "", nil)); got.Known() {
		t.Errorf("an own address is called %q", got.Name)
	}
}

func TestCookiesTellWhoseTheyAre(t *testing.T) {
	for name, want := range map[string]string{"_fbp": "Meta (Facebook)", "_ga_ABC": "Google Analytics", "_hjSessionUser_1": "Hotjar", "ajs_anonymous_id": "Twilio Segment", "session": ""} {
		if got := vendors.Cookie(name).Name; got != want {
			t.Errorf("the cookie %s is called %q, want %q", name, got, want)
		}
	}
}
