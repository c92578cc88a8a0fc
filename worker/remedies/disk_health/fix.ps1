param(
    [string]$Mode = ''
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
if (-not (Test-Path -Path 'Variable:FM_DISK')) { $FM_DISK = '' }

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

# ---- What every remedy has: text, the result, guards ------------------------------------------------------------

$Before = New-Object System.Collections.Specialized.OrderedDictionary
$After = New-Object System.Collections.Specialized.OrderedDictionary
$Changed = New-Object System.Collections.ArrayList

# Return text as one line of printable ASCII, any other character as \uXXXX: names are anybody's.
function ConvertTo-Shown([string]$Text) {
    $Shown = New-Object System.Text.StringBuilder
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

function Write-Line([string]$Text) {
    [Console]::Out.WriteLine($Text)
}

# End with a code, an outcome and a message; the last line of the output is the result as JSON.
function Complete-Fix([int]$Code, [string]$Outcome, [string]$Message) {
    $Shown = ConvertTo-Shown $Message
    Write-Line $Shown
    $Result = New-Object System.Collections.Specialized.OrderedDictionary
    $Result.Add('remedy', $Remedy)
    $Result.Add('mode', (ConvertTo-Shown $Mode))
    $Result.Add('outcome', $Outcome)
    $Result.Add('exit_code', $Code)
    $Result.Add('message', $Shown)
    $Result.Add('before', $Before)
    $Result.Add('after', $After)
    $Result.Add('changed', $Changed.ToArray())
    Write-Line (ConvertTo-Json -InputObject $Result -Compress -Depth 6)
    exit $Code
}

trap {
    Complete-Fix 1 'failed' "$($_.Exception.Message)"
}

if ($args.Count -gt 0 -or @('', 'plan', 'apply', 'verify') -notcontains $Mode) {
    Complete-Fix 2 'usage' 'usage: fix.ps1 plan | apply | verify'
}
if ($Mode -eq '') {
    if ([Console]::IsInputRedirected -or [Console]::IsOutputRedirected) {
        Complete-Fix 2 'usage' 'without a terminal say what to do: plan | apply | verify'
    }
    $Shell = (Get-Process -Id $PID).Path
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath plan
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
    $Answer = Read-Host 'Do this? [y/N]'
    if ($Answer -ne 'y' -and $Answer -ne 'yes') {
        Write-Line 'Nothing was changed.'
        exit 0
    }
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath apply
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath verify
    exit $LASTEXITCODE
}

# ---- This remedy ------------------------------------------------------------------------------------------------

$Problems = New-Object System.Collections.ArrayList

# Tell of a problem: what it is about, and what it is.
function Add-Problem([string]$Subject, [string]$Text) {
    Write-Line "  $(ConvertTo-Shown $Subject): $(ConvertTo-Shown $Text)"
    [void]$Problems.Add(@{ subject = (ConvertTo-Shown $Subject); problem = (ConvertTo-Shown $Text) })
}

function Test-Asked([string]$Name) {
    return $FM_DISK -eq '' -or $Name -eq $FM_DISK -or "${Name}\" -eq $FM_DISK
}

Write-Line 'Disks:'
foreach ($Disk in @(Get-CimInstance -Namespace root\Microsoft\Windows\Storage -ClassName MSFT_PhysicalDisk)) {
    $Name = "disk $($Disk.DeviceId) ($($Disk.FriendlyName))"
    if (-not ((Test-Asked $Name) -or (Test-Asked "$($Disk.DeviceId)") -or (Test-Asked "$($Disk.FriendlyName)"))) { continue }
    # 0 healthy, 1 warning, 2 unhealthy: MSFT_PhysicalDisk.HealthStatus.
    switch ([int]$Disk.HealthStatus) {
        0 { Write-Line "  $(ConvertTo-Shown $Name): healthy" }
        1 { Add-Problem $Name 'Windows warns of it: copy what matters off it' }
        2 { Add-Problem $Name 'it fails: copy what matters off it, and replace it' }
        default { Write-Line "  $(ConvertTo-Shown $Name): its health is not known" }
    }
}

Write-Line 'Volumes:'
foreach ($Volume in @(Get-CimInstance -Namespace root\Microsoft\Windows\Storage -ClassName MSFT_Volume)) {
    if ($null -eq $Volume.DriveLetter -or [int]$Volume.DriveLetter -eq 0) { continue }
    $Name = "$([char]$Volume.DriveLetter):"
    if (-not (Test-Asked $Name)) { continue }
    # 0 healthy, 1 scan needed, 2 spot fix needed, 3 full repair needed: MSFT_Volume.HealthStatus.
    if ([int]$Volume.HealthStatus -eq 0) {
        Write-Line "  ${Name} healthy"
    }
    else {
        Add-Problem $Name "it needs to be checked: run  chkdsk $Name /scan"
    }
}

Write-Line 'Errors of disks in the event log of the last week:'
try {
    $Filter = @{ LogName = 'System'; ProviderName = @('disk', 'Ntfs', 'storahci', 'stornvme'); Level = @(1, 2); StartTime = (Get-Date).AddDays(-7) }
    $Errors = @(Get-WinEvent -FilterHashtable $Filter -MaxEvents 20)
    foreach ($Entry in $Errors) { Write-Line "  $($Entry.TimeCreated.ToString('s'))  $(ConvertTo-Shown $Entry.Message)" }
    Add-Problem 'event log' "$($Errors.Count) errors of disks"
}
catch {
    Write-Line '  none'
}

$Before.Add('problems', $Problems.ToArray())
if ($Mode -eq 'verify') {
    if ($Problems.Count -gt 0) { Complete-Fix 1 'failed' "$($Problems.Count) problems were found" }
    Complete-Fix 0 'done' 'no problem was found'
}
if ($Problems.Count -eq 0) { Complete-Fix 0 'nothing' 'no problem was found; this remedy only looks' }
Complete-Fix 0 'nothing' "$($Problems.Count) problems were found; this remedy only looks: what to do stands above"
