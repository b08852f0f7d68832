package main

import (
	"context"
	"fmt"
	"runtime/debug"
)

// version is set by `make release`.
var version = "development"

func versionCommand(_ context.Context, c *call) error {
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
