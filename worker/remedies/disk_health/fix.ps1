param(
    [string]$Mode = '',
    [switch]$Force
)
# fleetmedic: values
# Looks into a disk that fails. Changes nothing.
#
#   powershell -File fix.ps1 plan             shows what would be done, and changes nothing
#   powershell -File fix.ps1 apply            does it
#   powershell -File fix.ps1 verify           measures whether it helped
#
# Exit codes: 0 done or nothing to do, 1 failed, 2 bad usage, 3 refused. The last line printed is a JSON object.

$Remedy = 'disk_health'
$MayForce = $false
if (-not (Test-Path -Path 'Variable:FM_DISK')) { $FM_DISK = '' }

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

$Storage = 'root\Microsoft\Windows\Storage'
$Problems = New-Object -TypeName System.Collections.ArrayList
$Judged = New-Object -TypeName System.Collections.ArrayList
$Unseen = New-Object -TypeName System.Collections.ArrayList

# Tell of a problem: what it is about, and what it is.
function Add-Problem([string]$Subject, [string]$Text) {
    Write-Line "  $(ConvertTo-Shown $Subject) - $(ConvertTo-Shown $Text)"
    [void]$Problems.Add([ordered]@{ subject = (ConvertTo-Shown $Subject); problem = (ConvertTo-Shown $Text) })
}

# Tell of what could not be looked at, and why.
function Add-Unseen([string]$What, [string]$Why) {
    Write-Line "  $(ConvertTo-Shown $What) - not seen: $(ConvertTo-Shown $Why)"
    [void]$Unseen.Add((ConvertTo-Shown $What))
}

# Return the names that a disk goes by; smartctl calls those of Windows /dev/sda, /dev/sdb and so on.
function Get-DiskNames($Disk) {
    $Names = @("disk $($Disk.DeviceId) ($($Disk.FriendlyName))", "$($Disk.DeviceId)", "$($Disk.FriendlyName)")
    $Number = 0
    if ([int]::TryParse("$($Disk.DeviceId)", [ref]$Number)) {
        $Names += "\\.\PhysicalDrive$Number"
        if ($Number -ge 0 -and $Number -lt 26) { $Names += "/dev/sd$([char](97 + $Number))" }
    }
    return $Names
}

# Return the names that a volume goes by; nothing when it has no letter.
function Get-VolumeNames($Volume) {
    $Letter = "$($Volume.DriveLetter)".Trim([char]0).TrimEnd(':')
    if ($Letter -ne '') { return @("${Letter}:", "${Letter}:\") }
}

# Return the instances of a class; nothing where they cannot be read.
function Get-Instances([string]$Namespace, [string]$Class) {
    try {
        return Get-CimInstance -Namespace $Namespace -ClassName $Class
    }
    catch {
        Add-Unseen $Class "$($_.Exception.Message)"
    }
}

# Return the health of a disk or a volume as its class has it: a module that is loaded may put a word in its place.
function Get-Health($Instance) {
    return "$($Instance.CimInstanceProperties['HealthStatus'].Value)"
}

# Tell what a disk counted of itself, where it does and an administrator asks.
function Write-Counters($Disk) {
    try {
        $Class = 'MSFT_StorageReliabilityCounter'
        foreach ($Counter in @(Get-CimAssociatedInstance -InputObject $Disk -Namespace $Storage -ResultClassName $Class)) {
            $Errors = "$($Counter.ReadErrorsUncorrected) of reading, $($Counter.WriteErrorsUncorrected) of writing"
            Write-Line "    errors not corrected: $Errors"
            Write-Line "    worn to $($Counter.Wear) %, $($Counter.Temperature) degrees, on for $($Counter.PowerOnHours) hours"
        }
    }
    catch {
        Write-Line "    its counters cannot be read: $(ConvertTo-Shown $_.Exception.Message)"
    }
}

# Tell of disks that are not healthy.
function Find-BadDisks($Disks) {
    Write-Line 'Disks:'
    foreach ($Disk in $Disks) {
        $Name = @(Get-DiskNames $Disk)[0]
        # 0 healthy, 1 warning, 2 unhealthy: MSFT_PhysicalDisk.HealthStatus.
        $Health = Get-Health $Disk
        switch ($Health) {
            '0' { Write-Line "  $(ConvertTo-Shown $Name) - Windows says that it is healthy" }
            '1' { Add-Problem $Name 'Windows warns of it: copy what matters off it' }
            '2' { Add-Problem $Name 'it fails: copy what matters off it, and replace it' }
            default { Add-Unseen $Name 'Windows does not know its health' }
        }
        $Words = @{ '0' = 'healthy'; '1' = 'warning'; '2' = 'failing' }
        $Word = 'unknown'
        if ($Words.ContainsKey($Health)) { $Word = $Words[$Health] }
        [void]$Judged.Add([ordered]@{ disk = (ConvertTo-Shown $Name); smart = $Word })
        Write-Counters $Disk
    }
}

# Tell of disks that foretell their own failure, of which a driver may know and the storage of Windows does not.
function Find-FailingDrives {
    try {
        foreach ($Status in @(Get-CimInstance -Namespace 'root\wmi' -ClassName MSStorageDriver_FailurePredictStatus)) {
            if ($Status.PredictFailure) {
                Add-Problem "$($Status.InstanceName)" 'SMART foretells that it fails: copy what matters off it, and replace it'
            }
        }
    }
    catch {
        # Many drivers have none, those of NVMe and of virtual disks among them.
        Write-Line "  no driver foretells failures here: $(ConvertTo-Shown $_.Exception.Message)"
    }
}

# Tell of volumes that are not healthy.
function Find-BadVolumes($Volumes) {
    Write-Line 'Volumes:'
    foreach ($Volume in $Volumes) {
        $Name = @(Get-VolumeNames $Volume)[0]
        # 0 healthy, 1 scan needed, 2 spot fix needed, 3 full repair needed: MSFT_Volume.HealthStatus.
        switch (Get-Health $Volume) {
            '0' { Write-Line "  $Name - it is healthy" }
            '1' { Add-Problem $Name "it needs to be looked at: run  chkdsk $Name /scan" }
            '2' { Add-Problem $Name "it needs a short repair: run  chkdsk $Name /spotfix" }
            '3' { Add-Problem $Name "it needs a full repair: copy what matters off it, then run  chkdsk $Name /f" }
            default { Add-Unseen $Name 'Windows does not know its health' }
        }
    }
}

# Tell of volumes that were not closed well.
function Find-DirtyVolumes($Wanted) {
    foreach ($Volume in @(Get-Instances 'root\cimv2' 'Win32_Volume')) {
        $Names = @(Get-VolumeNames $Volume)
        if ($Volume.DirtyBitSet -and $Names.Count -gt 0 -and ($Wanted -eq '' -or $Names -contains $Wanted)) {
            Add-Problem $Names[0] 'it was not closed well: Windows checks it at the next start'
        }
    }
}

# Tell of the last errors and warnings that the drivers of disks and file systems wrote within a week.
function Find-Errors {
    Write-Line 'Errors of disks in the event log of the last week:'
    $Count = 0
    foreach ($Provider in 'disk', 'Ntfs', 'Microsoft-Windows-Ntfs', 'storahci', 'stornvme') {
        try {
            $Filter = @{ LogName = 'System'; ProviderName = $Provider; Level = @(1, 2, 3); StartTime = (Get-Date).AddDays(-7) }
            foreach ($Entry in @(Get-WinEvent -FilterHashtable $Filter -MaxEvents 20)) {
                Write-Line "  $($Entry.TimeCreated.ToString('s'))  $Provider $($Entry.Id)  $(ConvertTo-Shown $Entry.Message)"
                $Count += 1
            }
        }
        catch {
            # Each has its own query: one that this machine lacks is an error, and so is one with nothing to tell.
            if ($_.FullyQualifiedErrorId -notmatch 'NoMatching|DontOverlap') {
                Add-Unseen "the events of $Provider" "$($_.Exception.Message)"
            }
        }
    }
    if ($Count -eq 0) { Write-Line '  none' }
    if ($Count -gt 0) { Add-Problem 'event log' "$Count errors and warnings of disks within a week" }
}

function Invoke-Fix {
    Assert-Windows
    $Disks = @(Get-Instances $Storage 'MSFT_PhysicalDisk')
    $Volumes = @(Get-Instances $Storage 'MSFT_Volume' | Where-Object -FilterScript { @(Get-VolumeNames $_).Count -gt 0 })
    if ($Disks.Count + $Volumes.Count -eq 0) {
        Complete-Fix 3 'refused' 'neither disks nor volumes can be looked at: run this as an administrator'
    }
    $Wanted = $FM_DISK
    if ($Wanted -ne '') {
        $OwnDisks = @($Disks | Where-Object -FilterScript { @(Get-DiskNames $_) -contains $Wanted })
        $OwnVolumes = @($Volumes | Where-Object -FilterScript { @(Get-VolumeNames $_) -contains $Wanted })
        if ($OwnDisks.Count + $OwnVolumes.Count -eq 0) {
            Add-Unseen $Wanted 'no disk and no volume is called so here; all of them are looked at'
            $Wanted = ''
        }
        else {
            $Disks = $OwnDisks
            $Volumes = $OwnVolumes
        }
    }
    Find-BadDisks $Disks
    if ($Wanted -eq '') { Find-FailingDrives }
    Find-BadVolumes $Volumes
    Find-DirtyVolumes $Wanted
    Find-Errors

    $Before.Add('problems', $Problems.ToArray())
    $Before.Add('disks', $Judged.ToArray())
    $Before.Add('unseen', ($Unseen.ToArray() -join ', '))
    $None = 'no problem was found'
    if ($Unseen.Count -gt 0) { $None += ", but not all could be seen: $($Before['unseen'])" }
    if ($Mode -eq 'verify') {
        if ($Problems.Count -gt 0) { Complete-Fix 1 'failed' "problems found: $($Problems.Count)" }
        # What was complained of cannot be called well unseen.
        if ($Unseen.Count -gt 0 -and $FM_DISK -ne '') { Complete-Fix 1 'failed' $None }
        Complete-Fix 0 'done' $None
    }
    if ($Problems.Count -eq 0) { Complete-Fix 0 'nothing' "$None; this remedy only looks" }
    Complete-Fix 0 'nothing' "problems found: $($Problems.Count); this remedy only looks: what to do stands above"
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
