//go:build !windows

package fhir

import "os"

// syncFolder makes a rename durable.
func syncFolder(dir *os.File) error { return dir.Sync() }
