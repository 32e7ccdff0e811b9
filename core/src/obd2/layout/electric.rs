//! Service 01, PIDs A1 to D3.

use super::INDUCEMENT;
use crate::obd2::{Kind, Scaling, Signal};

#[rustfmt::skip]
layouts! {
    /// PIDs A1 to D3.
    electric;
    // NOx concentration, corrected.
    0xA1 {
        "NOXC22_RDY" @   0  1  - flag  "sensor 2 of bank 2 is not ready";
        "NOXC21_RDY" @   1  1  - flag  "sensor 1 of bank 2 is not ready";
        "NOXC12_RDY" @   2  1  - flag  "sensor 2 of bank 1 is not ready";
        "NOXC11_RDY" @   3  1  - flag  "sensor 1 of bank 1 is not ready";
        "NOXC22_SUP" @   4  1  - flag  "has sensor 2 of bank 2";
        "NOXC21_SUP" @   5  1  - flag  "has sensor 1 of bank 2";
        "NOXC12_SUP" @   6  1  - flag  "has sensor 2 of bank 1";
        "NOXC11_SUP" @   7  1  - flag  "has sensor 1 of bank 1";
        "NOXC11"     @   8 16  7 Uas40 "NOx concentration, bank 1, sensor 1";
        "NOXC12"     @  24 16  6 Uas40 "NOx concentration, bank 1, sensor 2";
        "NOXC21"     @  40 16  5 Uas40 "NOx concentration, bank 2, sensor 1";
        "NOXC22"     @  56 16  4 Uas40 "NOx concentration, bank 2, sensor 2";
    }
    0xA2 { "CYL_RATE" @   0 16  - CylinderRate "fuel for one cylinder"; }
    // Vapour pressure in the evaporative system.
    0xA3 {
        "EVAP_SEAL"        @   2  1  3 flag      "the system is sealed";
        "EVAP_SEAL_SUP"    @   3  1  - flag      "reports the seal";
        "EVAP_B_VP_WR_SUP" @   4  1  - flag      "reports B in a wide range";
        "EVAP_B_VP_SUP"    @   5  1  - flag      "reports B";
        "EVAP_A_VP_WR_SUP" @   6  1  - flag      "reports A in a wide range";
        "EVAP_A_VP_SUP"    @   7  1  - flag      "reports A";
        "EVAP_A_VP"        @   8 16  7 UasFE     "vapour pressure A";
        "EVAP_A_VP_WR"     @  24 16  6 TwoPascal "vapour pressure A, wide range";
        "EVAP_B_VP"        @  40 16  5 UasFE     "vapour pressure B";
        "EVAP_B_VP_WR"     @  56 16  4 TwoPascal "vapour pressure B, wide range";
    }
    // Gear.
    0xA4 {
        "GEAR_RAT_SUP" @   6  1  - flag       "reports the ratio";
        "GEAR_ACT_SUP" @   7  1  - flag       "reports the gear";
        "GEAR_ACT"     @   8  4  7 Counter    "actual gear";
        "GEAR_RAT"     @  16 16  6 Thousandth "actual gear ratio";
    }
    // Dosing of exhaust fluid.
    0xA5 {
        "DEF_UCDC_SUP" @   6  1  - flag        "reports the use";
        "DEF_CMD_SUP"  @   7  1  - flag        "reports the command";
        "DEF_CMD"      @   8  8  7 HalfPercent "commanded dosing";
        "DEF_UCDC"     @  16 16  6 FluidUse    "used in this driving cycle";
    }
    0xA6 { "ODO" @   0 32  - Odometer "odometer"; }
    // NOx concentration, further sensors.
    0xA7 {
        "NOX24_RDY" @   0  1  - flag  "sensor 4 of bank 2 is not ready";
        "NOX23_RDY" @   1  1  - flag  "sensor 3 of bank 2 is not ready";
        "NOX14_RDY" @   2  1  - flag  "sensor 4 of bank 1 is not ready";
        "NOX13_RDY" @   3  1  - flag  "sensor 3 of bank 1 is not ready";
        "NOX24_SUP" @   4  1  - flag  "has sensor 4 of bank 2";
        "NOX23_SUP" @   5  1  - flag  "has sensor 3 of bank 2";
        "NOX14_SUP" @   6  1  - flag  "has sensor 4 of bank 1";
        "NOX13_SUP" @   7  1  - flag  "has sensor 3 of bank 1";
        "NOX13"     @   8 16  7 Uas40 "NOx concentration, bank 1, sensor 3";
        "NOX14"     @  24 16  6 Uas40 "NOx concentration, bank 1, sensor 4";
        "NOX23"     @  40 16  5 Uas40 "NOx concentration, bank 2, sensor 3";
        "NOX24"     @  56 16  4 Uas40 "NOx concentration, bank 2, sensor 4";
    }
    // NOx concentration, corrected, further sensors.
    0xA8 {
        "NOXC24_RDY" @   0  1  - flag  "sensor 4 of bank 2 is not ready";
        "NOXC23_RDY" @   1  1  - flag  "sensor 3 of bank 2 is not ready";
        "NOXC14_RDY" @   2  1  - flag  "sensor 4 of bank 1 is not ready";
        "NOXC13_RDY" @   3  1  - flag  "sensor 3 of bank 1 is not ready";
        "NOXC24_SUP" @   4  1  - flag  "has sensor 4 of bank 2";
        "NOXC23_SUP" @   5  1  - flag  "has sensor 3 of bank 2";
        "NOXC14_SUP" @   6  1  - flag  "has sensor 4 of bank 1";
        "NOXC13_SUP" @   7  1  - flag  "has sensor 3 of bank 1";
        "NOXC13"     @   8 16  7 Uas40 "NOx concentration, bank 1, sensor 3";
        "NOXC14"     @  24 16  6 Uas40 "NOx concentration, bank 1, sensor 4";
        "NOXC23"     @  40 16  5 Uas40 "NOx concentration, bank 2, sensor 3";
        "NOXC24"     @  56 16  4 Uas40 "NOx concentration, bank 2, sensor 4";
    }
    // Switch that disables the motorcycle's antilock brakes.
    0xA9 {
        "ABS_DISABLED_SUP" @   7  1  - flag "has the switch";
        "ABS_DISABLED"     @  15  1  7 flag "antilock brakes are disabled";
    }
    0xAA { "V_SET" @   0  8  - Uas09 "set speed of the limiter"; }
    // Alternative fuel.
    0xAB {
        "FTT_AF_SUP"  @   3  1  - flag         "reports the tank's temperature";
        "FTPW_AF_SUP" @   4  1  - flag         "reports the tank's pressure in a wide range";
        "FTP_AF_SUP"  @   5  1  - flag         "reports the tank's pressure";
        "FRT_AF_SUP"  @   6  1  - flag         "reports the rail's temperature";
        "FRP_AF_SUP"  @   7  1  - flag         "reports the rail's pressure";
        "FRP_AF"      @   8 16  7 Kilopascal32 "rail pressure";
        "FRT_AF"      @  24  8  6 Celsius      "rail temperature";
        "FTP_AF"      @  32 16  5 Kilopascal8  "tank pressure";
        "FTPW_AF"     @  48 16  4 Kilopascal   "tank pressure, wide range";
        "FTT_AF"      @  64  8  3 TankCelsius  "tank temperature";
    }
    // Ventilation of the crankcase.
    0xAD {
        "CKC_OSEP_RPM_SUP" @   6  1  - flag   "reports the oil separator";
        "CKC_P_SUP"        @   7  1  - flag   "reports the pressure";
        "CKC_P"            @   8 16  7 UasFE  "crankcase pressure";
        "CKC_OSEP_RPM"     @  24 16  6 OneRpm "speed of the oil separator";
    }
    // Purge pressure of the evaporative system.
    0xAE {
        "EVAP_PP_WR_SUP" @   6  1  - flag      "reports it in a wide range";
        "EVAP_PP_SUP"    @   7  1  - flag      "reports it";
        "EVAP_PP"        @   8 16  7 UasFE     "purge pressure";
        "EVAP_PP_WR"     @  24 16  6 TwoPascal "purge pressure, wide range";
    }
    0xAF { "AIR_FL_TGT" @   0 16  - MassFlow20 "commanded air flow"; }
    // Mass flow of recirculated exhaust gas.
    0xB0 {
        "EGR_M_FL_B_SUP" @   6  1  - flag       "reports B";
        "EGR_M_FL_A_SUP" @   7  1  - flag       "reports A";
        "EGR_M_FL_A"     @   8 16  7 MassFlow20 "recirculated mass flow A";
        "EGR_M_FL_B"     @  24 16  6 MassFlow20 "recirculated mass flow B";
    }
    // Injection near the intake valves.
    0xB1 {
        "CIFSI2_LONGFT_SUP" @   2  1  - flag            "reports the long term trim of bank 2";
        "CIFSI2_SHRTFT_SUP" @   3  1  - flag            "reports the short term trim of bank 2";
        "CIFSI1_LONGFT_SUP" @   4  1  - flag            "reports the long term trim of bank 1";
        "CIFSI1_SHRTFT_SUP" @   5  1  - flag            "reports the short term trim of bank 1";
        "CIFSI2_SUP"        @   6  1  - flag            "reports the loop of bank 2";
        "CIFSI1_SUP"        @   7  1  - flag            "reports the loop of bank 1";
        "CIFSI2_OL_Fault"   @   9  1  6 flag            "bank 2: open loop because of a fault";
        "CIFSI2_CL"         @  10  1  6 flag            "bank 2: closed loop";
        "CIFSI2_OL"         @  11  1  6 flag            "bank 2: open loop";
        "CIFSI1_OL_Fault"   @  13  1  7 flag            "bank 1: open loop because of a fault";
        "CIFSI1_CL"         @  14  1  7 flag            "bank 1: closed loop";
        "CIFSI1_OL"         @  15  1  7 flag            "bank 1: open loop";
        "CIFSI1_SHRTFT"     @  16  8  5 PercentCentered "short term trim, bank 1";
        "CIFSI1_LONGFT"     @  24  8  4 PercentCentered "long term trim, bank 1";
        "CIFSI2_SHRTFT"     @  32  8  3 PercentCentered "short term trim, bank 2";
        "CIFSI2_LONGFT"     @  40  8  2 PercentCentered "long term trim, bank 2";
    }
    0xB2 { "BAT_SOH" @   0  8  - Percent "health of the drive battery"; }
    // Temperatures in the drive battery.
    0xB7 {
        "HEV_Batt_Therm_Mode_SUP"    @   2  1  - flag    "reports the mode";
        "HEV_Batt_Coolant_Temp_SUP"  @   3  1  - flag    "reports the coolant";
        "HEV_Batt_Bus_Bar_Temp_SUP"  @   4  1  - flag    "reports the bus bar";
        "HEV_Batt_Ave_Cell_Temp_SUP" @   5  1  - flag    "reports the average cell";
        "HEV_Batt_Max_Cell_Temp_SUP" @   6  1  - flag    "reports the warmest cell";
        "HEV_Batt_Min_Cell_Temp_SUP" @   7  1  - flag    "reports the coldest cell";
        "HEV_Batt_Min_Cell_Temp"     @   8  8  7 Celsius "coldest cell";
        "HEV_Batt_Max_Cell_Temp"     @  16  8  6 Celsius "warmest cell";
        "HEV_Batt_Ave_Cell_Temp"     @  24  8  5 Celsius "average cell";
        "HEV_Batt_Bus_Bar_Temp"      @  32  8  4 Celsius "bus bar";
        "HEV_Batt_Coolant_Temp"      @  40  8  3 Celsius "coolant";
        "HEV_Batt_Therm_Mode"        @  48  8  2 Counter "mode of thermal control, as a number";
    }
    0xB8 { "HEV_Batt_Time_Since_Last_Balance" @   0 16  - Uas34 "time since the cells were balanced"; }
    // Cell voltages of the drive battery.
    0xB9 {
        "HEV_Batt_Min_Cell_Voltage" @   0 16  - Uas0B "weakest cell";
        "HEV_Batt_Max_Cell_Voltage" @  16 16  - Uas0B "strongest cell";
    }
    // What the drive battery can take and give.
    0xBA {
        "HEV_Batt_PWR_Available"           @   0  8  - Percent     "available power";
        "HEV_Batt_Charge_Current_Limit"    @   8 16  - TenthAmpere "most charging current";
        "HEV_Batt_Discharge_Current_Limit" @  24 16  - TenthAmpere "most discharging current";
    }
    // Fuel tanks.
    0xC3 {
        "FLI_B_SUP" @   6  1  - flag    "has tank B";
        "FLI_A_SUP" @   7  1  - flag    "has tank A";
        "FLI_A"     @   8  8  7 Percent "level of tank A";
        "FLI_B"     @  16  8  6 Percent "level of tank B";
    }
    // Diagnosis of particulate control.
    0xC4 {
        "EXH_PM_TIME"    @   0 32  - Uas12   "time of diagnosis";
        "EXH_PM_OCC_CNT" @  32 32  - Counter "diagnoses";
    }
    // Warning and inducement because of particulates.
    0xC6 {
        "PCD_FAILURE_TIME_SUP"         @   4  1  - flag         "counts faults";
        "LRIS_FAILURE_TIME_SUP"        @   5  1  - flag         "counts the long-range system";
        "DPF_REMOVAL_BLOCKED_TIME_SUP" @   6  1  - flag         "counts a removed or blocked filter";
        "PM_WARN_ACT_SUP"              @   7  1  - flag         "reports the warning";
        "PCL_INDUC_L3"                 @   9  2  7 [INDUCEMENT] "inducement, level 3";
        "PCL_INDUC_L2"                 @  11  2  7 [INDUCEMENT] "inducement, level 2";
        "PCL_INDUC_L1"                 @  13  2  7 [INDUCEMENT] "inducement, level 1";
        "PM_WARN_ACT"                  @  15  1  7 flag         "the warning is active";
        "DPF_REMOVAL_BLOCKED_TIME"     @  16 16  6 Hours        "time with a removed or blocked filter";
        "LRIS_FAILURE_TIME"            @  32 16  5 Hours        "time with a fault of the long-range system";
        "PCD_FAILURE_TIME"             @  48 16  4 Hours        "time with another fault";
    }
    0xC7 { "REFLASH_DIST" @   0 16  - Uas25 "distance since programming or replacement"; }
    // Warning lamps of NOx and particulate control.
    0xC8 {
        "PCD_WL"     @   2  2  - Counter "lamp of particulate control, as a number";
        "NCD_WL"     @   4  2  - Counter "lamp of NOx control, as a number";
        "NCD_PCD_WL" @   6  2  - Counter "common lamp, as a number";
    }
    // State of certified energy and range.
    0xD2 {
        "SOCR_SUP" @   6  1  - flag    "reports the range";
        "SOCE_SUP" @   7  1  - flag    "reports the energy";
        "SOCE"     @   8  8  7 Percent "energy left of the certified";
        "SOCR"     @  16  8  6 Percent "range left of the certified";
    }
    0xD3 { "ODO_ENG" @   0 32  - Odometer "odometer of the engine"; }
}

/// One value of the whole drive battery and of up to eight packs of it; all of `$bits` bits.
macro_rules! packs {
    ($($pid:literal $what:literal $bits:literal $scaling:ident $name:literal;)*) => {
        layouts! {
            /// PIDs B4 to C2: the packs of the drive battery.
            packs;
            $($pid {
                "HVESPH_" $what "_SUP" @ 0 1 - flag "has pack H";
                "HVESPG_" $what "_SUP" @ 1 1 - flag "has pack G";
                "HVESPF_" $what "_SUP" @ 2 1 - flag "has pack F";
                "HVESPE_" $what "_SUP" @ 3 1 - flag "has pack E";
                "HVESPD_" $what "_SUP" @ 4 1 - flag "has pack D";
                "HVESPC_" $what "_SUP" @ 5 1 - flag "has pack C";
                "HVESPB_" $what "_SUP" @ 6 1 - flag "has pack B";
                "HVESPA_" $what "_SUP" @ 7 1 - flag "has pack A";
                "HVESS_" $what @ (8) $bits - $scaling $name ", all packs";
                "HVESPA_" $what @ (8 + $bits) $bits 7 $scaling $name ", pack A";
                "HVESPB_" $what @ (8 + 2 * $bits) $bits 6 $scaling $name ", pack B";
                "HVESPC_" $what @ (8 + 3 * $bits) $bits 5 $scaling $name ", pack C";
                "HVESPD_" $what @ (8 + 4 * $bits) $bits 4 $scaling $name ", pack D";
                "HVESPE_" $what @ (8 + 5 * $bits) $bits 3 $scaling $name ", pack E";
                "HVESPF_" $what @ (8 + 6 * $bits) $bits 2 $scaling $name ", pack F";
                "HVESPG_" $what @ (8 + 7 * $bits) $bits 1 $scaling $name ", pack G";
                "HVESPH_" $what @ (8 + 8 * $bits) $bits 0 $scaling $name ", pack H";
            })*
        }
    };
}

packs! {
    0xB4 "Temp"       8 Celsius          "temperature";
    0xB6 "Volt"      16 Volt20           "voltage";
    0xBB "Enrg_In"   32 KilowattHours    "energy in";
    0xBC "Enrg_Out"  32 KilowattHours    "energy out";
    0xBD "Enrg_Tput" 32 HundredWattHours "energy throughput";
    0xBE "SOH"        8 TwoFifthsPercent "health";
    0xBF "MIN_SOC"   16 ChargePercent    "least charge";
    0xC1 "MAX_SOC"   16 ChargePercent    "greatest charge";
    0xC2 "DEnrg_CAP" 24 WattHours        "energy that it can give";
}
