package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
)

// version is set by `make release`.
var version = "development"

func versionCommand(_ context.Context, c *call) error {
	if words, err := c.parse(); err != nil || len(words) > 0 {
		return cmp.Or(err, usage("version takes no words"))
	}
	module := "off"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "GOFIPS140" {
				module = s.Value
			}
		}
	}
	_, err := fmt.Fprintf(c.out, "quietroom %s, Go Cryptographic Module %s\n", version, module)
	return err
}
