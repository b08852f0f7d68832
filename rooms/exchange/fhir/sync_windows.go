package fhir

import "os"

// syncFolder does nothing: on Windows a folder cannot be flushed by itself.
func syncFolder(*os.File) error { return nil }
