package trackers

var (
	MailChecks       = mailChecks
	JudgeHeaders     = judgeHeaders
	JudgeCertificate = judgeCertificate
)

// Exposed asks a site for what often lies open by mistake.
var Exposed = (*scan).exposed

// Once makes a scan visit each page once.
func Once(o Options) Options {
	o.once = true
	return o
}

// ScanOf is a scan that has not begun.
func ScanOf(o Options) (*scan, error) { return newScan(o) }
