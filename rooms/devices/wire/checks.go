package wire

// About is what people read of a check.
type About struct {
	Name    string
	Title   string // what holds when it passes
	Why     string // what it protects from
	Asks    string // what is asked of the computer
	Failing string // what is so when it fails
	Minutes int
	Fix     map[string]string // by system: steps in the system's own words
}

// Names of the checks that this version knows.
const (
	DiskEncrypted = "disk-encrypted"
	ScreenLock    = "screen-lock"
	NoAutoLogin   = "no-automatic-sign-in"
	Firewall      = "firewall"
	Updates       = "updates"
	Supported     = "system-supported"
	Antivirus     = "antivirus"
	EverydayUser  = "everyday-user"
	RemoteLogin   = "remote-login"
	RemoteTools   = "remote-tools"
	SecureBoot    = "secure-boot"
	Integrity     = "system-integrity"
	Gatekeeper    = "known-programs"
	Time          = "time"
)

// Known are the checks that this version knows, in the order in which people read them.
var Known = []About{
	{DiskEncrypted, "The disk is encrypted", "Who finds or steals the computer reads nothing on its disk while it is off.",
		"Which disks hold the system and people’s files, and whether they are encrypted.", "the disk is not encrypted", 10, map[string]string{
			"windows": "Settings, Privacy & security, Device encryption: On. On Windows Pro: search for “Manage BitLocker”, Turn on BitLocker. Keep the recovery key outside of this computer.",
			"darwin":  "System Settings, Privacy & Security, FileVault: Turn On. Keep the recovery key outside of this Mac.",
			"linux":   "Encryption is chosen when Linux is installed: save your files, install again, and choose “Encrypt”. Until then, ask the owner."}},
	{ScreenLock, "The screen locks by itself", "Who passes the desk cannot go on where somebody stopped.",
		"After how many minutes the screen locks, and whether it asks for a password.", "the screen does not lock by itself within 15 minutes", 1, map[string]string{
			"windows": "Settings, Accounts, Sign-in options: “If you’ve been away” set to “When PC wakes up from sleep”. Settings, System, Power: screen off after 10 minutes.",
			"darwin":  "System Settings, Lock Screen: “Turn display off when inactive” 10 minutes, “Require password after” Immediately.",
			"linux":   "Settings, Privacy, Screen Lock: Automatic Screen Lock on, Blank Screen Delay 10 minutes."}},
	{NoAutoLogin, "Nobody is signed in without a password", "A computer that signs somebody in by itself is open to whoever switches it on.",
		"Whether the computer signs somebody in by itself.", "the computer signs somebody in by itself", 2, map[string]string{
			"windows": "Press Windows+R, type netplwiz, and tick “Users must enter a user name and password to use this computer”.",
			"darwin":  "System Settings, Users & Groups: “Automatically log in as” Off.",
			"linux":   "Settings, Users: Unlock, then Automatic Login off."}},
	{Firewall, "The firewall is on", "Others in the same network, at home or in a café, cannot reach programs on this computer.",
		"Whether the firewall is on, and refuses what comes in by itself.", "the firewall is off", 1, map[string]string{
			"windows": "Settings, Privacy & security, Windows Security, Firewall & network protection: turn it on for each network.",
			"darwin":  "System Settings, Network, Firewall: on.",
			"linux":   "In a terminal: sudo ufw enable."}},
	{Updates, "Updates are installed", "Most break-ins use a fault for which an update was there for weeks.",
		"Which security updates wait, and how long ago this was looked for.", "security updates wait", 10, map[string]string{
			"windows": "Settings, Windows Update: Check for updates, then Restart now.",
			"darwin":  "System Settings, General, Software Update: Update Now.",
			"linux":   "Open Software Updater and install."}},
	{Supported, "The system still gets updates", "A system that its maker has given up gets no updates any more.",
		"Name and version of the system.", "the system is so old that its maker gives no updates", 60, map[string]string{
			"windows": "Settings, Windows Update: install the newest version; a computer that cannot needs to be replaced.",
			"darwin":  "System Settings, General, Software Update: Upgrade Now; a Mac that cannot needs to be replaced.",
			"linux":   "Upgrade to the newest release of your system, after a backup."}},
	{Antivirus, "Protection against malware is on and fresh", "Programs that steal or lock files are stopped before they do.",
		"Whether an antivirus is there, is on, and has fresh signatures.", "protection against malware is off or out of date", 3, map[string]string{
			"windows": "Settings, Privacy & security, Windows Security, Virus & threat protection: Turn on, then Check for updates.",
			"darwin":  "XProtect belongs to macOS: System Settings, General, Software Update, Automatic Updates, “Install Security Responses and system files” on.",
			"linux":   "Install ClamAV: sudo apt install clamav-daemon clamav-freshclam"}},
	{EverydayUser, "Everyday work is done without administrator’s rights", "A program that somebody opens by mistake cannot change the whole computer.",
		"Whether the person at the computer is an administrator.", "everyday work is done as an administrator", 5, map[string]string{
			"windows": "Settings, Accounts, Other users: add an administrator for installing, then change your own account type to Standard User.",
			"darwin":  "System Settings, Users & Groups: add an administrator for installing, then turn off “Allow this user to administer this computer” for yourself.",
			"linux":   "Add a user for installing, then take your own out of the groups sudo and wheel."}},
	{RemoteLogin, "Nobody signs in from elsewhere", "A door into the computer from the network is one more that can be tried.",
		"Whether the computer lets people sign in over the network.", "the computer lets people sign in over the network", 2, map[string]string{
			"windows": "Settings, System, Remote Desktop: Off.",
			"darwin":  "System Settings, General, Sharing: Remote Login, Screen Sharing and Remote Management off.",
			"linux":   "sudo systemctl disable --now ssh, unless somebody who looks after the computer needs it."}},
	{RemoteTools, "No program for remote control is running", "False helpers ask people to install one, and then see the whole screen.",
		"Whether one of the well-known programs for remote control is running.", "a program for remote control is running", 3, map[string]string{
			"windows": "Settings, Apps, Installed apps: uninstall it, unless your own helper uses it. If you do not know it, tell the owner now.",
			"darwin":  "Move it from Applications to the Bin, unless your own helper uses it. If you do not know it, tell the owner now.",
			"linux":   "Remove the package, unless your own helper uses it. If you do not know it, tell the owner now."}},
	{SecureBoot, "The computer starts only a system that its maker signed", "Nobody can put another system under yours while you are away.",
		"Whether Secure Boot is on.", "Secure Boot is off", 10, map[string]string{
			"windows": "Restart into the firmware’s settings (Shift and Restart, Troubleshoot, UEFI Firmware Settings) and turn on Secure Boot.",
			"darwin":  "Start into Recovery, Startup Security Utility: Full Security.",
			"linux":   "Restart into the firmware’s settings and turn on Secure Boot."}},
	{Integrity, "The system’s own files are protected", "Programs cannot change the system itself.",
		"Whether System Integrity Protection is on.", "System Integrity Protection is off", 5, map[string]string{
			"darwin": "Start into Recovery, Utilities, Terminal: csrutil enable, then restart."}},
	{Gatekeeper, "Programs of unknown makers do not start", "A program that came with a mail does not run by a double click.",
		"Whether Gatekeeper is on.", "Gatekeeper is off", 2, map[string]string{
			"darwin": "System Settings, Privacy & Security: “Allow applications from” App Store & Known Developers."}},
	{Time, "The clock is right", "Certificates and the record of events rely on it.",
		"The computer’s clock, beside the house’s.", "the clock is wrong by more than five minutes", 1, map[string]string{
			"windows": "Settings, Time & language, Date & time: “Set time automatically” on, then Sync now.",
			"darwin":  "System Settings, General, Date & Time: “Set time and date automatically” on.",
			"linux":   "Settings, Date & Time: Automatic Date & Time on. Or: sudo timedatectl set-ntp true"}},
}

// AboutCheck returns what people read of a check; of one that is not known here,
// its bare name.
func AboutCheck(name string) (About, bool) {
	for _, a := range Known {
		if a.Name == name {
			return a, true
		}
	}
	return About{Name: name, Title: name, Failing: "the check “" + name + "” fails"}, false
}
