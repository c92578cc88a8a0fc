param(
    [string]$Mode = '',
    [switch]$Force
)
# fleetmedic: values
# Makes room on a drive by removing what is safe to remove.
#
#   powershell -File fix.ps1 plan             shows what would be done, and changes nothing
#   powershell -File fix.ps1 apply            does it
#   powershell -File fix.ps1 verify           measures whether it helped
#
# Exit codes: 0 done or nothing to do, 1 failed, 2 bad usage, 3 refused. The last line printed is a JSON object.

$Remedy = 'disk_full'
$MayForce = $false
if (-not (Test-Path -Path 'Variable:FM_MOUNT')) { $FM_MOUNT = '/' }
if (-not (Test-Path -Path 'Variable:FM_OLDER_THAN_DAYS')) { $FM_OLDER_THAN_DAYS = '7' }
if (-not (Test-Path -Path 'Variable:FM_JOURNAL_KEEP_MEBIBYTES')) { $FM_JOURNAL_KEEP_MEBIBYTES = '200' }
if (-not (Test-Path -Path 'Variable:FM_INCLUDE_CONTAINERS')) { $FM_INCLUDE_CONTAINERS = 'false' }
if (-not (Test-Path -Path 'Variable:FM_DIRECTORY')) { $FM_DIRECTORY = '' }
if (-not (Test-Path -Path 'Variable:FM_DIRECTORY_BYTES')) { $FM_DIRECTORY_BYTES = '' }

# ---- What every remedy has: text, the result, the log, its modes ------------------------------------------------

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

# A policy may let scripts only use what PowerShell has itself, so that neither a type nor a method is at hand.
if ("$($ExecutionContext.SessionState.LanguageMode)" -ne 'FullLanguage') {
    $Message = 'a policy restricts the language of scripts here, and this one needs all of it'
    $Known = ''
    if (@('plan', 'apply', 'verify') -contains $Mode) { $Known = $Mode }
    Write-Output -InputObject $Message
    Write-Output -InputObject ('{"remedy":"' + $Remedy + '","mode":"' + $Known + '","outcome":"refused","exit_code":3,"message":"' +
        $Message + '","before":{},"after":{},"changed":[]}')
    exit 3
}

if (-not (Test-Path -Path 'Variable:FM_VERSION')) { $FM_VERSION = '' }
if (-not (Test-Path -Path 'Variable:FM_EVENT')) { $FM_EVENT = '' }
if (-not (Test-Path -Path 'Variable:FM_HOST')) { $FM_HOST = '' }
$Before = [ordered]@{}
$After = [ordered]@{}
$Changed = New-Object -TypeName System.Collections.ArrayList
$Ended = $false
$Interrupted = 'interrupted: what was done until then is logged; verify measures how it stands now'

# Return text as one line of printable ASCII, any other character as \uXXXX: names are anybody's.
function ConvertTo-Shown([string]$Text) {
    $Shown = New-Object -TypeName System.Text.StringBuilder
    foreach ($Character in $Text.ToCharArray()) {
        if ($Shown.Length -ge 200) { break }
        $Code = [int]$Character
        if ($Code -ge 32 -and $Code -le 126) {
            [void]$Shown.Append($Character)
        }
        else {
            [void]$Shown.Append('\u' + $Code.ToString('x4'))
        }
    }
    return $Shown.ToString()
}

function ConvertTo-Kibibytes([long]$Bytes) {
    return [long][Math]::Floor($Bytes / 1024)
}

function ConvertTo-Mebibytes([long]$Bytes) {
    return [long][Math]::Floor($Bytes / 1048576)
}

# Print a line by itself: what a function of PowerShell outputs is what it returns.
function Write-Line([string]$Text) {
    [Console]::Out.WriteLine($Text)
}

# End with a code, an outcome and a message; the last line of the output is the result as JSON.
function Complete-Fix([int]$Code, [string]$Outcome, [string]$Message) {
    $script:Ended = $true
    $Shown = ConvertTo-Shown $Message
    Write-Line $Shown
    $Result = [ordered]@{
        remedy = $Remedy
        mode = (ConvertTo-Shown $Mode)
        outcome = $Outcome
        exit_code = $Code
        message = $Shown
        before = $Before
        after = $After
        changed = $Changed.ToArray()
    }
    Write-Line (ConvertTo-Json -InputObject $Result -Compress -Depth 6)
    exit $Code
}

# Write what is done to the event log, with what it answers.
function Write-Action([string]$Text) {
    $Shown = ConvertTo-Shown $Text
    Write-Line $Shown
    $Answers = $Remedy
    if ($FM_VERSION -ne '') { $Answers += " $FM_VERSION" }
    if ($FM_EVENT -ne '') { $Answers += " for event $FM_EVENT" }
    if ($FM_HOST -ne '') { $Answers += " on $FM_HOST" }
    $Entry = "Fleetmedic: $(ConvertTo-Shown $Answers): $Shown"
    # Only an administrator can make a source of events; the other one is there on every Windows.
    foreach ($Source in 'Fleetmedic', 'Application') {
        try {
            [System.Diagnostics.EventLog]::WriteEntry($Source, $Entry)
            return
        }
        catch {
            continue
        }
    }
    Write-Line '  there is no event log to write that to'
}

# Return a value as a whole number, or end with 2.
function Get-WholeNumber([string]$Name, [string]$Text, [long]$Minimum, [long]$Maximum) {
    $Number = [long]-1
    if ($Text -cmatch '\A(0|[1-9][0-9]{0,17})\z') { $Number = [long]$Text }
    if ($Number -lt $Minimum -or $Number -gt $Maximum) {
        Complete-Fix 2 'usage' "$Name must be a whole number from $Minimum to $Maximum"
    }
    return $Number
}

# End with 3 elsewhere than on Windows: PowerShell 7 runs there too.
function Assert-Windows {
    if ([Environment]::OSVersion.Platform -ne 'Win32NT') {
        Complete-Fix 3 'refused' 'this script is for Windows: on Linux and macOS run the one for bash'
    }
}

function Test-Administrator {
    $Identity = [System.Security.Principal.WindowsIdentity]::GetCurrent()
    $Principal = New-Object -TypeName System.Security.Principal.WindowsPrincipal -ArgumentList $Identity
    return $Principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}

# End with the code of a step, which has said by itself how it ended unless it was killed.
function Exit-AfterStep([int]$Code) {
    if ($Code -lt 0 -or $Code -gt 3) { Complete-Fix 1 'failed' $Interrupted }
    $script:Ended = $true
    exit $Code
}

# On a terminal: plan, ask when there is something to do, apply, verify.
function Invoke-Steps([string]$Usage) {
    if ([Console]::IsInputRedirected -or [Console]::IsOutputRedirected) {
        Complete-Fix 2 'usage' "without a terminal say what to do: $Usage"
    }
    $Shell = (Get-Process -Id $PID).Path
    $Last = ''
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath plan | ForEach-Object -Process {
        $Last = "$_"
        Write-Line $Last
    }
    if ($LASTEXITCODE -ne 0 -or -not $Last.Contains(',"outcome":"planned",')) { Exit-AfterStep $LASTEXITCODE }
    $Answer = Read-Host -Prompt 'Do this? [y/N]'
    if ($Answer -ne 'y' -and $Answer -ne 'yes') { Complete-Fix 0 'nothing' 'nothing was changed: the answer was no' }
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath apply
    if ($LASTEXITCODE -eq 0) { & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath verify }
    Exit-AfterStep $LASTEXITCODE
}

# ---- This remedy ------------------------------------------------------------------------------------------------

$LimitPercent = 85
$MostSeconds = 30

# Return used percent and free bytes of a drive.
function Get-Space([string]$Drive) {
    $Disk = Get-CimInstance -ClassName Win32_LogicalDisk -Filter "DeviceID = '$Drive'"
    if ($null -eq $Disk -or [long]$Disk.Size -eq 0) { Complete-Fix 2 'usage' "mount: there is no drive $Drive" }
    return @{
        percent = [int][Math]::Ceiling(100 * ($Disk.Size - $Disk.FreeSpace) / $Disk.Size)
        free = [long]$Disk.FreeSpace
    }
}

# Return what lies in a directory; nothing where that may not be looked at.
function Get-Entries([string]$Path) {
    try {
        $Folder = New-Object -TypeName System.IO.DirectoryInfo -ArgumentList $Path
        return $Folder.GetFileSystemInfos()
    }
    catch {
        return @()
    }
}

# Say whether a file or a directory is a link, a junction or another volume's mount: none of these is followed.
function Test-Link($Item) {
    return ($Item.Attributes -band [System.IO.FileAttributes]::ReparsePoint) -ne 0
}

# Say whether neither a directory nor any above it is a link, so that it lies where its path says.
function Test-Plain([string]$Path) {
    $Folder = New-Object -TypeName System.IO.DirectoryInfo -ArgumentList $Path
    while ($null -ne $Folder) {
        if (-not $Folder.Exists -or (Test-Link $Folder)) { return $false }
        $Folder = $Folder.Parent
    }
    return $true
}

# Return the bytes below a directory by what lies up to some levels under it, and whether all was seen in time.
function Measure-Directory([string]$Path, [int]$Levels) {
    $Sizes = @{}
    $Clock = [System.Diagnostics.Stopwatch]::StartNew()
    $Waiting = New-Object -TypeName System.Collections.Queue
    $Waiting.Enqueue(@{ path = $Path; level = 1; top = $Path })
    while ($Waiting.Count -gt 0 -and $Clock.Elapsed.TotalSeconds -lt $MostSeconds) {
        $Next = $Waiting.Dequeue()
        foreach ($Item in Get-Entries $Next['path']) {
            if (Test-Link $Item) { continue }
            $Top = $Next['top']
            if ($Next['level'] -le $Levels) { $Top = $Item.FullName }
            if ($Item -is [System.IO.DirectoryInfo]) {
                $Waiting.Enqueue(@{ path = $Item.FullName; level = $Next['level'] + 1; top = $Top })
            }
            else {
                $Sizes[$Top] = [long]$Sizes[$Top] + $Item.Length
            }
        }
    }
    return @{ sizes = $Sizes; complete = ($Waiting.Count -eq 0) }
}

# Tell what takes the most room on a drive, by the second level of its directories.
function Write-Biggest([string]$Drive) {
    Write-Line 'What takes the most room on it, in MiB:'
    $Seen = Measure-Directory "$Drive\" 2
    foreach ($Top in @($Seen['sizes'].GetEnumerator() | Sort-Object -Property Value -Descending | Select-Object -First 10)) {
        Write-Line "  $(ConvertTo-Mebibytes $Top.Value)  $(ConvertTo-Shown $Top.Key)"
    }
    if (-not $Seen['complete']) { Write-Line "  (seen in $MostSeconds s; there is more)" }
}

# Tell what the directory that grew fastest held when the event opened, and holds now.
function Write-Growth([string]$Directory, [long]$Then) {
    $Shown = ConvertTo-Shown $Directory
    Write-Line "Grew fastest when the event opened: $Shown"
    if (-not [System.IO.Directory]::Exists($Directory)) {
        Write-Line '  it is no directory now'
        return
    }
    $Sum = [long]0
    $Seen = Measure-Directory $Directory 0
    foreach ($Size in $Seen['sizes'].Values) { $Sum += $Size }
    $Found = [ordered]@{ path = $Shown; now_kib = (ConvertTo-Kibibytes $Sum) }
    $Held = "$(ConvertTo-Mebibytes $Sum) MiB"
    if (-not $Seen['complete']) { $Held = "more than $Held" }
    if ($Then -ge 0) {
        $Found.Add('then_kib', (ConvertTo-Kibibytes $Then))
        Write-Line "  it held $(ConvertTo-Mebibytes $Then) MiB then, and holds $Held now"
    }
    else {
        Write-Line "  it holds $Held now"
    }
    $Before.Add('directory', $Found)
}

# Return a place that may be cleaned: what lies there, where, which names, and how many levels deep.
function New-Root([string]$What, [string]$Path, [string]$Only, [int]$Levels) {
    return @{ what = $What; path = $Path; only = $Only; levels = $Levels }
}

# Return the places of a drive that may be cleaned. A user's own are all that he may look into.
function Get-Roots([string]$Drive) {
    $Deep = 64
    $Windows = $env:SystemRoot
    $Reports = "$env:ProgramData\Microsoft\Windows\WER"
    $Homes = @($env:USERPROFILE)
    $Roots = @()
    if (Test-Administrator) {
        $Accounts = Get-CimInstance -ClassName Win32_UserProfile -Filter 'Special = False'
        $Homes = @($Accounts | Select-Object -ExpandProperty LocalPath)
        $Roots += New-Root 'temporary files' "$Windows\Temp" '*' $Deep
        $Roots += New-Root 'updates that were downloaded' "$Windows\SoftwareDistribution\Download" '*' $Deep
        $Roots += New-Root 'rotated logs' "$Windows\Logs\CBS" 'CbsPersist_*' 1
        $Roots += New-Root 'rotated logs' "$env:SystemDrive\inetpub\logs\LogFiles" '*.log' $Deep
        $Roots += New-Root 'crash dumps' $Windows 'MEMORY.DMP' 1
        $Roots += New-Root 'crash dumps' "$Windows\Minidump" '*.dmp' $Deep
        $Roots += New-Root 'crash dumps' "$Windows\LiveKernelReports" '*.dmp' $Deep
        $Roots += New-Root 'error reports' "$Reports\ReportArchive" '*' $Deep
        $Roots += New-Root 'error reports' "$Reports\ReportQueue" '*' $Deep
    }
    foreach ($Folder in $Homes) {
        if ("$Folder" -eq '') { continue }
        $Roots += New-Root 'temporary files' "$Folder\AppData\Local\Temp" '*' $Deep
        $Roots += New-Root 'crash dumps' "$Folder\AppData\Local\CrashDumps" '*.dmp' $Deep
        $Roots += New-Root 'error reports' "$Folder\AppData\Local\Microsoft\Windows\WER" '*' $Deep
    }
    foreach ($Root in $Roots) {
        $Path = $Root['path']
        if ($Path.StartsWith("$Drive\", [StringComparison]::OrdinalIgnoreCase) -and (Test-Plain $Path)) { $Root }
    }
}

# Return the files of a place that were made and changed before a time. Links are not followed.
function Get-OldFiles($Root, [DateTime]$Oldest) {
    $Waiting = New-Object -TypeName System.Collections.Queue
    $Waiting.Enqueue(@{ path = $Root['path']; level = 1 })
    while ($Waiting.Count -gt 0) {
        $Next = $Waiting.Dequeue()
        foreach ($Item in Get-Entries $Next['path']) {
            if (Test-Link $Item) { continue }
            if ($Item -is [System.IO.DirectoryInfo]) {
                if ($Next['level'] -lt $Root['levels']) {
                    $Waiting.Enqueue(@{ path = $Item.FullName; level = $Next['level'] + 1 })
                }
            }
            elseif ($Item.Name -like $Root['only'] -and $Item.LastWriteTime -lt $Oldest -and $Item.CreationTime -lt $Oldest) {
                # Something trusts in lock and pid files, which are hardly ever open.
                if (@('.lock', '.pid') -notcontains $Item.Extension) { $Item }
            }
        }
    }
}

function Get-TotalSize($Files) {
    $Sum = [long]0
    foreach ($File in $Files) { $Sum += $File.Length }
    return $Sum
}

# Tell what the last step did to the room on a drive, of which so many bytes were left before.
function Complete-Step([long]$Left, [string]$Drive) {
    $Now = (Get-Space $Drive)['free']
    $Freed = $Now - $Left
    $Shown = "$(ConvertTo-Mebibytes $Left) MiB were left before, $(ConvertTo-Mebibytes $Now) MiB are now"
    Write-Line "  ${Shown}: $(ConvertTo-Mebibytes $Freed) MiB freed"
    $Step = $Changed[$Changed.Count - 1]
    $Step.Add('freed_kib', (ConvertTo-Kibibytes $Freed))
    $Step.Add('available_kib_before', (ConvertTo-Kibibytes $Left))
    $Step.Add('available_kib_after', (ConvertTo-Kibibytes $Now))
}

# Remove one file. Returns what became of it: removed, in use, or denied.
function Invoke-ApplyRemoval($File) {
    try {
        # Whoever owns a directory here can put a link in its place at any time.
        if (-not (Test-Plain $File.DirectoryName)) { return 'denied' }
        # Nobody can open a file that another one has open without sharing, and the other way round.
        [System.IO.File]::Open($File.FullName, 'Open', 'Read', 'None').Dispose()
        if ($File.IsReadOnly) { [System.IO.File]::SetAttributes($File.FullName, 'Normal') }
        [System.IO.File]::Delete($File.FullName)
        return 'removed'
    }
    catch [System.IO.IOException] {
        return 'in use'
    }
    catch {
        return 'denied'
    }
}

# Remove the files of a place, and tell what that freed. Returns how many could not be removed though nobody uses them.
function Invoke-ApplyRoot($Root, $Files, [string]$Drive) {
    $Path = ConvertTo-Shown $Root['path']
    $Left = (Get-Space $Drive)['free']
    $Size = ConvertTo-Mebibytes (Get-TotalSize $Files)
    Write-Action "removing $($Files.Count) of $($Root['what']) below $Path ($Size MiB)"
    $Counts = @{ 'removed' = 0; 'in use' = 0; 'denied' = 0 }
    foreach ($File in $Files) {
        $Became = Invoke-ApplyRemoval $File
        $Counts[$Became] += 1
    }
    Write-Line "  removed $($Counts['removed']); $($Counts['in use']) are in use, $($Counts['denied']) not this user's to remove"
    if ($Counts['removed'] -gt 0) {
        [void]$Changed.Add([ordered]@{ action = 'remove'; what = $Root['what']; root = $Path; files = $Counts['removed'] })
        Complete-Step $Left $Drive
    }
    return $Counts['denied']
}

# Return the container engines that are here and answer.
function Get-Engines {
    # What a program writes to its standard error is no error of this script.
    $ErrorActionPreference = 'Continue'
    foreach ($Name in 'docker', 'podman') {
        $Engine = Get-Command -Name $Name -CommandType Application -ErrorAction SilentlyContinue | Select-Object -First 1
        if ($null -eq $Engine) { continue }
        & $Engine.Path info 2>&1 | Out-Null
        if ($LASTEXITCODE -ne 0) { continue }
        # By its settings it may reach the one of another machine.
        if ($Name -eq 'docker') {
            $At = "$(& $Engine.Path context inspect --format '{{.Endpoints.docker.Host}}' 2>&1)"
            if ($LASTEXITCODE -ne 0 -or -not $At.StartsWith('npipe:')) {
                Write-Line "  what docker reaches may be another machine, and is left alone: $(ConvertTo-Shown $At)"
                continue
            }
        }
        $Engine.Path
    }
}

# Have a container engine remove what it may: no volumes, and nothing younger. Returns whether it did.
function Invoke-ApplyPrune([string]$Engine, [int]$Days, [string]$Drive) {
    $ErrorActionPreference = 'Continue'
    $Left = (Get-Space $Drive)['free']
    Write-Action "running $Engine system prune --force --filter until=$(24 * $Days)h"
    & $Engine system prune --force --filter "until=$(24 * $Days)h" 2>&1 | Out-Null
    if ($LASTEXITCODE -ne 0) { return $false }
    [void]$Changed.Add([ordered]@{ action = 'run'; what = "$(ConvertTo-Shown $Engine) system prune" })
    Complete-Step $Left $Drive
    return $true
}

function Invoke-Fix {
    $Days = [int](Get-WholeNumber 'older_than_days' $FM_OLDER_THAN_DAYS 1 3650)
    # Windows keeps its event logs within their bounds by itself.
    [void](Get-WholeNumber 'journal_keep_mebibytes' $FM_JOURNAL_KEEP_MEBIBYTES 16 100000)
    if (@('true', 'false') -cnotcontains $FM_INCLUDE_CONTAINERS) {
        Complete-Fix 2 'usage' 'include_containers must be true or false'
    }
    if ($FM_MOUNT -cnotmatch '\A(/|[A-Za-z]:\\?)\z') {
        Complete-Fix 2 'usage' "mount must be a drive such as C:, not $FM_MOUNT"
    }
    if ($FM_DIRECTORY -ne '' -and $FM_DIRECTORY -cnotmatch '\A(/|[A-Za-z]:\\)') {
        Complete-Fix 2 'usage' "directory must be an absolute path, not $FM_DIRECTORY"
    }
    $Then = [long]-1
    if ($FM_DIRECTORY_BYTES -ne '') {
        $Then = Get-WholeNumber 'directory_bytes' ($FM_DIRECTORY_BYTES.Split('.')[0]) 0 100000000000000000
    }
    Assert-Windows

    $Drive = $env:SystemDrive
    if ($FM_MOUNT -ne '/') { $Drive = $FM_MOUNT.Substring(0, 2).ToUpperInvariant() }
    $Space = Get-Space $Drive
    Write-Line "Drive $Drive is used at $($Space['percent']) %, with $(ConvertTo-Mebibytes $Space['free']) MiB left."
    $Before.Add('used_percent', $Space['percent'])
    $Before.Add('available_kib', (ConvertTo-Kibibytes $Space['free']))
    if ($FM_DIRECTORY -ne '') { Write-Growth $FM_DIRECTORY $Then }
    if ($Mode -eq 'verify') {
        if ($Space['percent'] -gt $LimitPercent) {
            Complete-Fix 1 'failed' "still used at $($Space['percent']) %, above $LimitPercent %"
        }
        Complete-Fix 0 'done' "used at $($Space['percent']) %, not above $LimitPercent %"
    }
    if ($Mode -eq 'plan') { Write-Biggest $Drive }

    Write-Line "What is safe to remove, older than $Days days:"
    if (-not (Test-Administrator)) { Write-Line '  (of this user only: an administrator sees what is of Windows and of others)' }
    $Oldest = (Get-Date).AddDays(-$Days)
    $Steps = 0
    $Planned = [long]0
    $Denied = 0
    foreach ($Root in @(Get-Roots $Drive)) {
        $Files = @(Get-OldFiles $Root $Oldest)
        if ($Files.Count -eq 0) { continue }
        $Steps += 1
        if ($Mode -eq 'apply') {
            $Denied += Invoke-ApplyRoot $Root $Files $Drive
        }
        else {
            $Size = Get-TotalSize $Files
            $Planned += $Size
            Write-Line "  would remove $($Files.Count) of $($Root['what']) below $(ConvertTo-Shown $Root['path']):"
            Write-Line "    $(ConvertTo-Mebibytes $Size) MiB, less what is in use; the biggest of them:"
            foreach ($File in @($Files | Sort-Object -Property Length -Descending | Select-Object -First 3)) {
                Write-Line "    $(ConvertTo-Mebibytes $File.Length)  $(ConvertTo-Shown $File.FullName)"
            }
        }
    }
    $Failed = @()
    if ($FM_INCLUDE_CONTAINERS -eq 'true') {
        foreach ($Engine in @(Get-Engines)) {
            $Steps += 1
            if ($Mode -eq 'apply') {
                if (-not (Invoke-ApplyPrune $Engine $Days $Drive)) { $Failed += $Engine }
            }
            else {
                Write-Line "  would run: $(ConvertTo-Shown $Engine) system prune --force --filter until=$(24 * $Days)h"
            }
        }
    }

    if ($Steps -eq 0) {
        $After.Add('used_percent', $Space['percent'])
        Complete-Fix 0 'nothing' 'nothing that is safe to remove lies on this drive: the plan lists what fills it'
    }
    if ($Mode -eq 'plan') {
        $After.Add('would_free_kib', (ConvertTo-Kibibytes $Planned))
        Complete-Fix 0 'planned' "nothing was changed; about $(ConvertTo-Mebibytes $Planned) MiB would be freed"
    }
    $Now = Get-Space $Drive
    $After.Add('used_percent', $Now['percent'])
    $After.Add('available_kib', (ConvertTo-Kibibytes $Now['free']))
    if ($Failed.Count -gt 0) { Complete-Fix 1 'failed' "not done: $($Failed -join ' '); used at $($Now['percent']) % now" }
    if ($Denied -gt 0) {
        Complete-Fix 1 'failed' "not all could be removed: $Denied were denied; used at $($Now['percent']) % now"
    }
    $Freed = ConvertTo-Mebibytes ($Now['free'] - $Space['free'])
    Complete-Fix 0 'done' "freed $Freed MiB; used at $($Now['percent']) % now"
}

# ---- What every remedy ends with --------------------------------------------------------------------------------

try {
    $Usage = 'fix.ps1 plan | apply | verify'
    if ($MayForce) { $Usage = 'fix.ps1 plan | apply [-Force] | verify' }
    if ($args.Count -gt 0 -or @('', 'plan', 'apply', 'verify') -notcontains $Mode) { Complete-Fix 2 'usage' "usage: $Usage" }
    if ($Force -and -not ($MayForce -and $Mode -eq 'apply')) { Complete-Fix 2 'usage' "usage: $Usage" }
    if ($Mode -eq '') { Invoke-Steps $Usage }
    Invoke-Fix
}
catch {
    Complete-Fix 1 'failed' "$($_.Exception.Message)"
}
finally {
    # Nothing but Ctrl+C comes here without a result.
    if (-not $Ended) { Complete-Fix 1 'failed' $Interrupted }
}
